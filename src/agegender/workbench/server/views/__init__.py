"""One module per page: a function from a request to a Page, which is sent as HTML or JSON."""
