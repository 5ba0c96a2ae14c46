"""WebAssembly modules put together by a program, without text in between.

from echelon.plugin.builder import ModuleBuilder

module = ModuleBuilder()
with module.function(params=["i32", "i32"], results=["i32"], signature="add(a: i32, b: i32) -> i32") as f:
    f.local_get(0).local_get(1).i32.add()
wasm = module.build()
"""

from echelon.plugin.builder.encoding import Type as Type
from echelon.plugin.builder.function import FunctionBuilder as FunctionBuilder
from echelon.plugin.builder.module import Data as Data
from echelon.plugin.builder.module import Elements as Elements
from echelon.plugin.builder.module import Global as Global
from echelon.plugin.builder.module import ImportedFunction as ImportedFunction
from echelon.plugin.builder.module import Memory as Memory
from echelon.plugin.builder.module import ModuleBuilder as ModuleBuilder
from echelon.plugin.builder.module import Table as Table
from echelon.plugin.builder.stack import Label as Label
