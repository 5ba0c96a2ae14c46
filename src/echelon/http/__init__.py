"""HTTP: requests, responses, files and forms behind two protocol adapters, and the server."""

from echelon.http.files import Directory as Directory
from echelon.http.files import File as File
from echelon.http.forms import FormData as FormData
from echelon.http.forms import Upload as Upload
from echelon.http.headers import Headers as Headers
from echelon.http.markers import Body as Body
from echelon.http.markers import Cookie as Cookie
from echelon.http.markers import Form as Form
from echelon.http.markers import Header as Header
from echelon.http.markers import Query as Query
from echelon.http.markers import blocking as blocking
from echelon.http.request import Request as Request
from echelon.http.request import RequestOptions as RequestOptions
from echelon.http.response import HTML as HTML
from echelon.http.response import JSON as JSON
from echelon.http.response import Empty as Empty
from echelon.http.response import Problem as Problem
from echelon.http.response import Redirect as Redirect
from echelon.http.response import Response as Response
from echelon.http.response import Stream as Stream
from echelon.http.response import Text as Text
