"""The HTTP gateway: what comes in from outside, and later what is asked. It loads no model."""
