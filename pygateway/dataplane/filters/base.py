"""What a filter is: it edits a request on its way to the backend, or a response on its way to the client."""

from pygateway.dataplane.framing import RequestOut
from pygateway.dataplane.http1.response import ResponseHead


class Filter:
    """Called once a try for requests (the edit starts from the client's own fields each time), once for the
    response."""

    def on_request(self, request: RequestOut) -> None:
        """Edit `target`, `authority` and `lines`; `lines` is the filter's to replace, never to change in place."""

    def on_response(self, head: ResponseHead) -> None:
        """Edit `lines`."""
