"""What a route, and then the chosen backend, does to requests and answers beyond passing them on."""

from pygateway.dataplane.framing import UNKNOWN_LENGTH, RequestOut
from pygateway.dataplane.http1.request import RequestHead
from pygateway.dataplane.http1.response import ResponseHead
from pygateway.dataplane.route import RouteHandler, Share
from pygateway.dataplane.tap import Tap


def outgoing(head: RequestHead, websocket: bool) -> RequestOut:
    """The request for one try, before filters. `websocket`: an upgrade to it is let through."""
    request = RequestOut(head.method, head.path_query, head.authority, head.lines)
    if head.chunked:
        request.length = UNKNOWN_LENGTH
    elif head.content_length >= 0:
        request.length = head.content_length
    if websocket and head.upgrade == "websocket":
        request.upgrade = head.upgrade
    request.expect = head.expect_continue
    return request


def edit_request(request: RequestOut, handler: RouteHandler | None, share: Share | None, tap: Tap | None) -> None:
    """The route's filters, then the chosen backend's own; `tap` hears what is between them."""
    if handler is not None:
        for each in handler.filters:
            each.on_request(request)
    if tap is not None:
        tap.note(request)
    if share is not None:
        for each in share.filters:
            each.on_request(request)


def edit_response(head: ResponseHead, handler: RouteHandler | None, share: Share | None) -> None:
    """The chosen backend's filters, then the route's."""
    if share is not None:
        for each in share.filters:
            each.on_response(head)
    if handler is not None:
        for each in handler.filters:
            each.on_response(head)
