# What the guides need of a running sandbox: `. examples/sandbox.sh` in bash or zsh, from the repository's folder.

# Print one value of the file with the sandbox's addresses: `at api_url`, `at webhook_tokens biztel`.
at() { get "$@" < "${SANDBOX_DIR:-.sandbox}/endpoints.json"; }

# Print one value of the JSON on standard input: `get items 0 smsid`.
get() {
    python3 -c 'import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1:]:
    value = value[int(name) if isinstance(value, list) else name]
print("" if value is None else value)' "$@"
}

# Repeat a GET until one value of its answer is the last argument, for a minute at most, and print the answer:
# `await sms/order1043 state delivered`.
await() {
    python3 - "$API" "$KEY" "$@" <<'END'
import json, sys, time, urllib.request
api, key, path, *names, expected = sys.argv[1:]
for _ in range(300):
    answer = urllib.request.urlopen(urllib.request.Request(f"{api}/{path}", headers={"x-api-key": key})).read().decode()
    value = json.loads(answer)
    try:
        for name in names:
            value = value[int(name) if isinstance(value, list) else name]
    except (LookupError, TypeError):
        value = None
    if value == expected:
        break
    time.sleep(0.2)
print(answer)
sys.exit(value != expected)
END
}

# In the guides a comment may follow a command.
if [ -n "${ZSH_VERSION:-}" ]; then setopt interactive_comments; fi

API=$(at api_url)/v1
KEY=$(at api_key)
export CURL_HOME=examples      # its .curlrc ends each answer in a new line

# Print a port of this machine that is free.
free_port() { python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'; }
