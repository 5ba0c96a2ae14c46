"""Middleware: the pipeline, error handlers, and what most applications need."""

from echelon.http.bridge import asgi_middleware as asgi_middleware
from echelon.middleware.compression import Compression as Compression
from echelon.middleware.cors import CORS as CORS
from echelon.middleware.errors import ErrorHandlers as ErrorHandlers
from echelon.middleware.pipeline import compose as compose
from echelon.middleware.request_id import RequestId as RequestId
from echelon.middleware.security_headers import SecurityHeaders as SecurityHeaders
from echelon.middleware.timeout import Timeout as Timeout
