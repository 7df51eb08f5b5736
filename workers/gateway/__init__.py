"""The HTTP gateway: what comes in from outside and what is asked, and the page for people. It loads no model."""
