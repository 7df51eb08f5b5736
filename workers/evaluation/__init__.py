"""What ``wildtag evaluate`` needs beside the method: adapters from settings, conditions, and a page of results."""
