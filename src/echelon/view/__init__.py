"""Views: pages of Preact components rendered in the sandbox, and `html`, which needs no JavaScript."""

from echelon.view.markup import Markup as Markup
from echelon.view.markup import html as html
