"""The use cases of subscriptions: manage them, deliver changes to them, and bring out what is owed."""
