"""Labels: the form under which a tag is indexed, and the broader labels that it implies. Loads no model."""
