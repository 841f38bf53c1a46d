"""How clients say what they listen to: the requests of both eras of the protocol, handed to the server's watch."""

from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import (
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    UnsubscribeRequestParams,
)
from pydantic import ValidationError

from owlmetry_mcp.server.watch import Watch


async def while_listening(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """What a stream listens to is watched for as long as it is open."""
    if ctx.method != "subscriptions/listen":
        return await call_next(ctx)
    try:
        wanted = SubscriptionsListenRequestParams.model_validate(ctx.params or {}, by_name=False)
    except ValidationError:
        return await call_next(ctx)  # which refuses it
    watch: Watch = ctx.lifespan_context
    async with watch.listening(wanted.notifications.resource_subscriptions or ()):
        return await call_next(ctx)


async def on_subscribe(ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams) -> EmptyResult:
    watch: Watch = ctx.lifespan_context
    await watch.subscribe(ctx.session, params.uri)
    return EmptyResult()


async def on_unsubscribe(ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams) -> EmptyResult:
    watch: Watch = ctx.lifespan_context
    watch.unsubscribe(ctx.session, params.uri)
    return EmptyResult()
