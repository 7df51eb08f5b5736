"""What follows from an error: one table for stages, gateway, segmentation and RPC."""
