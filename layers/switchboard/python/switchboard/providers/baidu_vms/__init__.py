"""The client of Baidu VMS' API, and the parser of its callbacks."""
