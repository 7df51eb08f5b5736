"""The HTTP gateway: the API, the webhook target and the web page. It loads no model."""
