"""Compilers that do not come with Python: what is here, and how the missing ones are fetched."""

from echelon.plugin.toolchain.install import install as install
from echelon.plugin.toolchain.javascript import INSTALL_JAVASCRIPT as INSTALL_JAVASCRIPT
from echelon.plugin.toolchain.javascript import Javascript as Javascript
from echelon.plugin.toolchain.javascript import JavascriptChoice as JavascriptChoice
from echelon.plugin.toolchain.javascript import find_javascript as find_javascript
from echelon.plugin.toolchain.javascript import version_tuple as version_tuple
from echelon.plugin.toolchain.places import home as home
from echelon.plugin.toolchain.recipe import Recipe as Recipe
from echelon.plugin.toolchain.recipes import BINARYEN as BINARYEN
from echelon.plugin.toolchain.recipes import CPYTHON as CPYTHON
from echelon.plugin.toolchain.recipes import JAVASCRIPT as JAVASCRIPT
from echelon.plugin.toolchain.recipes import RECIPES as RECIPES
from echelon.plugin.toolchain.recipes import TYPESCRIPT as TYPESCRIPT
from echelon.plugin.toolchain.recipes import VIEWS as VIEWS
