"""Prometheus and Grafana for wildtag: what is scraped, rules, alerts and the dashboard."""
