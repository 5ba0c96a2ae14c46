"""Names of functions: real ones of three schemes come out as their authors wrote them, any others as they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.errors import MemoryExceeded, Trap
from echelon.runtime.core import Runtime
from echelon.runtime.demangle import MAX_NAME, demangle
from echelon.runtime.demangle.cursor import MAX_WORK

LEGACY = {
    "_ZN4core9panicking5panic17h0123456789abcdefE": "core::panicking::panic",
    "_ZN105_$LT$std..collections..hash..map..Iter$LT$K$C$V$GT$$u20$as$u20$core..iter..traits..iterator..Iterator"
    "$GT$4next17hdd50423b9efeab36E": "<std::collections::hash::map::Iter<K,V> as "
    "core::iter::traits::iterator::Iterator>::next",
    "_ZN1a5inner48_$LT$impl$u20$a..Sq$LT$3_usize$C$$RF$str$GT$$GT$11m$ue9$thode17h78be93795bdfcce4E": ""
    "a::inner::<impl a::Sq<3_usize,&str>>::méthode",
    "_ZN3std2rt10lang_start28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE.llvm.8AB0": ""
    "std::rt::lang_start::{{closure}}",
    "core::panicking::panic::h0123456789abcdef": "core::panicking::panic",
    "_$LT$a..B$u20$as$u20$c..D$GT$::run::h0123456789abcdef": "<a::B as c::D>::run",
}
"""Rust's first scheme; the last two have been through a linker that reads C++."""

V0 = {
    "_RNvNtCsgEmfK2I1SDS_4core9panicking5panic": "core::panicking::panic",
    "_RNvC5crate3foo.llvm.9A": "crate::foo",
    "_RINvMNtCsgEmfK2I1SDS_4core3stre5parselECs6xxl1lAjzDf_1a": "<str>::parse::<i32>",
    "_RINvMNtCsgEmfK2I1SDS_4core5sliceSh11copy_withinINtNtNtB5_3ops5range14RangeInclusivejEECsfEOYDRpO4Ta_"
    "11miniz_oxide": "<[u8]>::copy_within::<core::ops::range::RangeInclusive<usize>>",
    "_RNvYNCNvCs6xxl1lAjzDf_1a4mains_0INtNtNtCsgEmfK2I1SDS_4core3ops8function6FnOnceTRhAlj4_EE9call_onceB6_": ""
    "<a::main::{closure#1} as core::ops::function::FnOnce<(&u8, [i32; 4])>>::call_once",
    "_RINvMNtNtCsgEmfK2I1SDS_4core3fmt2rtNtB3_8Argument9new_debugRFG_RL0_eQL0_Ahj3_ERL0_eECs6xxl1lAjzDf_1a": ""
    "<core::fmt::rt::Argument>::new_debug::<&for<'a> fn(&'a str, &'a mut [u8; 3]) -> &'a str>",
    "_RINvNtCsgEmfK2I1SDS_4core3ptr13drop_in_placeINtNtCslNYArtu3iFV_5alloc5boxed3BoxDG0_INtNtNtB4_3ops8function"
    "2FnTRL1_INtNtCsjrHSEGnQ3l9_3std5panic13PanicHookInfoL0_EEEp6OutputuNtNtB4_6marker4SyncNtB2N_4SendEL_EEB1T_": ""
    "core::ptr::drop_in_place::<alloc::boxed::Box<dyn for<'a, 'b> core::ops::function::Fn"
    "<(&'a std::panic::PanicHookInfo<'b>,), Output = ()> + core::marker::Sync + core::marker::Send>>",
    "_RNvMs_Cs6xxl1lAjzDf_1aINtB4_1BKce9_Kb0_Ka64_E2goB4_": "<a::B<'é', false, 100>>::go",
    "_RNvMs_Cs6xxl1lAjzDf_1aINtB4_1BKc78_Kb1_Kan5_E2goB4_": "<a::B<'x', true, -5>>::go",
    "_RNvMNtCs6xxl1lAjzDf_1a5innerINtB4_2SqKj3_ReEu10mthode_bva": "<a::Sq<3, &str>>::méthode",
    "_RNSC1a6vtable": "a::{shim:vtable#0}",
    "_RINvC1a1fKpKj7_KBa_E": "a::f::<_, 7, 7>",
    "_RINvC1a1fKo10000000000000000_E": "a::f::<0x10000000000000000>",
    "_RINvC1a1fDINtC1a1TeEp1XlEL_DNtB2_1Up1YbEL_E": "a::f::<dyn a::T<str, X = i32>, dyn a::U<Y = bool>>",
    "_RINvC1a1fSlAyj3_FEuTEE": "a::f::<[i32], [u64; 3], fn(), ()>",
    "_RINvC1a1fFUKCPhOsEzTcEDC1bEL_B2_E": ""
    'a::f::<unsafe extern "C" fn(*const u8, *mut i16) -> !, (char,), dyn b, a>',
}
"""Rust's second scheme."""

CPP = {
    "_Z3foov": "foo()",
    "_ZN3foo3barEi": "foo::bar(int)",
    "_Z4foöv": "foö()",
    "_ZNK4shop4CartIiE5shareEi": "shop::Cart<int>::share(int) const",
    "_ZN4shop12_GLOBAL__N_15Order5priceEi": "shop::(anonymous namespace)::Order::price(int)",
    "_ZN4shop3sumIJiiEEEiDpT_": "int shop::sum<int, int>(int, int)",
    "_Z7forwardIJRiPKcEEvDpOT_": "void forward<int&, char const*>(int&, char const*&&)",
    "_Z4noneIJEEvDpT_": "void none<>()",
    "_ZZ3runENK3$_0clEi": "run::$_0::operator()(int) const",
    "_ZZ3runiENKUlRKT_E_clIiEEDaS1_": "auto run(int)::'lambda'(auto const&)::operator()<int>(auto const&) const",
    "_ZNSt6vectorIiSaIiEE9push_backERKi": "std::vector<int, std::allocator<int>>::push_back(int const&)",
    "_ZNSt3__212basic_stringIcNS_11char_traitsIcEENS_9allocatorIcEEED2Ev": ""
    "std::__2::basic_string<char, std::__2::char_traits<char>, std::__2::allocator<char>>::~basic_string()",
    "_ZN3FooC1ERKS_": "Foo::Foo(Foo const&)",
    "_ZN3FoocvbEv": "Foo::operator bool()",
    "_ZN3FooaSEOS_": "Foo::operator=(Foo&&)",
    "_ZNKR3Foo3getEv": "Foo::get() const &",
    "_ZThn16_N3Foo3barEv": "non-virtual thunk to Foo::bar()",
    "_ZTv0_n24_N3Foo3barEv": "virtual thunk to Foo::bar()",
    "_ZTW7counter": "thread-local wrapper routine for counter",
    "_Z4sortPiPFiPKvS1_E": "sort(int*, int (*)(void const*, void const*))",
    "_Z4pickv.cold": "pick()",
    "_Z3rowRA3_A4_Kc": "row(char const (&) [3][4])",
    "_Z4callM3FooKFviEPS_MS_i": "call(void (Foo::*)(int) const, Foo*, int Foo::*)",
    "_Z6handlePFvvE": "handle(void (*)())",
    "_Z4makeIiEPFvT_Ei": "void (*make<int>(int))(int)",
    "_Z3maxILi3ELb1ELj7ELc97ELN1a1bE2EEvv": "void max<3, true, 7u, (char)97, (a::b)2>()",
    "_Z3addDv4_fDv4_f": "add(float vector[4], float vector[4])",
    "_ZN1xB5cxx11Ev": "x[abi:cxx11]()",
    "_ZN4llvm10checkedSubIlEENSt9enable_ifIXsr3std9is_signedIT_EE5valueENS_8OptionalIS2_EEE4typeES2_S2_": ""
    "llvm::checkedSub<long>",
    "_ZlsRSoRKSs": "operator<<(std::ostream&, std::string const&)",
    "_Z4callIXadL_Z3foovEEEvv": "void call<&foo()>()",
    "_ZTch0_h16_N3Foo3barEv": "covariant return thunk to Foo::bar()",
    "_ZTcv0_n24_h16_N3Foo3barEv": "covariant return thunk to Foo::bar()",
    "_ZSt4sortIPiEvT_S1_": "void std::sort<int*>(int*, int*)",
    "_ZNSaIcED1Ev": "std::allocator<char>::~allocator()",
    "_ZZ3foovEs": "foo()::string literal",
    "_ZZ3foovEs_0": "foo()::string literal",
    "_ZZ3fooiEd_NKUlvE_clEv": "foo(int)::'lambda'()::operator()() const",
    "_ZZ3foovE3bar_0": "foo()::bar",
    "_ZZ3foovE3bar__12_": "foo()::bar",
    "_ZZ3foovEN3Bar3runEv": "foo()::Bar::run()",
    "_ZNUt_3barEv": "'unnamed'::bar()",
    "_ZN3FooUt0_3barEv": "Foo::'unnamed0'::bar()",
    "_Zli3_kmy": 'operator"" _km(unsigned long long)',
    "_ZNSsB5cxx113fooEv": "std::string[abi:cxx11]::foo()",
    "_Z1fILDnEEvv": "void f<nullptr>()",
    "_Z1fIL_Z3barvEEvv": "void f<bar()>()",
    "_Z1fI3VecEvT_IiE": "void f<Vec>(Vec<int>)",
    "_Z1fCd": "f(double complex)",
    "_Z1fu6__int3": "f(__int3)",
    "_Z1fDF16_": "f(_Float16)",
    "_Z1fM3FooFvvRE": "f(void (Foo::*)() &)",
    "_Z1fM3FooKFvvOE": "f(void (Foo::*)() const &&)",
    "_Z1fPDoFvvE": "f(void (*)() noexcept)",
    "_Z1fDnDuDsDi": "f(std::nullptr_t, char8_t, char16_t, char32_t)",
    "_Z1fz": "f(...)",
    "_Z1fPVKv": "f(void const volatile*)",
    "_Z1fPrKc": "f(char const restrict*)",
    "_ZN1AIiE1BIcEC2IdEET_": "A<int>::B<char>::B<double>(double)",
    "_ZN1AcvPKcEv": "A::operator char const*()",
    "_Z1fILin5EEvv": "void f<-5>()",
    "_Z1fILl5ELm6ELy7ELx8ELs9EEvv": "void f<5l, 6ul, 7ull, 8ll, (short)9>()",
    "_ZNVK1A1fEv": "A::f() const volatile",
    "_ZNO1A1fEv": "A::f() &&",
    "_Z1fI1AEvNT_4typeE": "void f<A>(A::type)",
    "_Z1fIJ1A1BEEvDpNT_4typeE": "void f<A, B>(A::type, B::type)",
    "_Z1fIJicEEvDpPFT_vE": "void f<int, char>(int (*)(), char (*)())",
    "_Z1fIJicEEvSt5tupleIJDpRT_EE": "void f<int, char>(std::tuple<int&, char&>)",
    "_Z1fPA_i": "f(int (*) [])",
    "_Z1fRKSt6vectorISsSaISsEE": "f(std::vector<std::string, std::allocator<std::string>> const&)",
    "_ZTHN1A1bE": "thread-local initialization routine for A::b",
    "_ZZN1A1fEiENUlvE0_clEv": "A::f(int)::'lambda0'()::operator()()",
    "_ZN12_GLOBAL__N_11fEv": "(anonymous namespace)::f()",
    "_ZN1AD0Ev": "A::~A()",
    "_ZN1AdlEPv": "A::operator delete(void*)",
    "_ZN1AnaEm": "A::operator new[](unsigned long)",
    "_ZN1AssERKS_": "A::operator<=>(A const&)",
    "_ZN1AcmEi": "A::operator,(int)",
    "_Z1fDv8_sDv16_a": "f(short vector[8], signed char vector[16])",
}
"""The scheme of C++. The parameters of `checkedSub` hold an expression, which is not read."""

AS_THEY_ARE = (
    "", "main", "main.main", "runtime.gopanic", "(*Reader).Read", "debug.FullPanic((function 'defaultPanic')).call",
    "~lib/array/Array<i32>#__get", "_", "_Z", "_R", "_ZN", "_Z3fo", "_Z99foo", "_Z3foov junk", "_ZN3fooE junk",
    "_ZN3foo17hE", "_RNvC1a", "_RNvC1a1b junk", "_RNvB_1a", "_RIC1aB_E", "_Z1fS_", "_Z1fT_", "_Z1fS0_",
    "_ZN4core9panicking9panic17h0123456789abcdefE", "_Z1f" + "9" * 40, "_RINvC1a1bKj" + "f" * 33 + "_E",
    "_RNvC1au2_9", "_ZTV3Foo", "_ZThn_3foo", "_ZN3foo", "_ZNS_3fooE", "_Z1fILi" + "9" * 50 + "EEvv",
    "_Z1fUa3foo", "_ZN1fC1Ev" + "E", "_ZZ3foovE", "_RINvC1a1fKb2_E", "_RINvC1a1fKcd800_E", "_RINvC1a1fKe_E",
    "_RINvC1a1fL0_E",
    "_RINvC1a1fFG" + "z" * 4 + "_EuE", "_RN1C1a1b", "_RNvC1a" + "9" * 12, "_RNvCs" + "z" * 12 + "_1a1b", "_Z1fT99999_",
    "_ZN1AIXsr3std9is_signedIiEE5valueEE1fEv", "_Z1fDTcl1gEE junk", "a::h0123456789abcdeg",
)  # fmt: skip
"""Names of languages that do not mangle, and such as follow no scheme to their end."""

HEAVY = (
    "_ZN" + "1A" * 400 + "Ev", "_Z1f" + "P" * 900 + "i", "_Z1f" + "1AI" * 200, "_ZN" + "UlvE_" * 150 + "Ev",
    "_Z" * 500, "_ZZ" * 300, "_Z1fIJ" + "i" * 32 + "EEv" + "DpPT_" * 150, "_Z1fI1AIS_S_S_EE" + "S0_" * 300,
    "_RI" + "NvC1a1b" + "T" * 300 + "u" + "E" * 300, "_RINvC1a1b" + "".join(f"TB{n}_E" for n in range(99)),
    "_RIC1a" + "T" * 60 + "E" * 60 + "B4_" * 250 + "E", "_RNvC1au900_" + "9" * 900, "_RG" + "z" * 900 + "_",
    "_ZN900_$" + "$LT$" * 220 + "17h0123456789abcdefE", "x::" * 300 + "h0123456789abcdef",
)  # fmt: skip
"""Names that nest, repeat and refer to themselves as much as their length allows."""


@pytest.mark.parametrize(("mangled", "plain"), [*LEGACY.items(), *V0.items(), *CPP.items()])
def test_names(mangled: str, plain: str) -> None:
    """Each name comes out as the tools of its language write it."""
    assert demangle(mangled) == plain


@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_other_names(name: str) -> None:
    """What is not mangled, or not well, stays as it is."""
    assert demangle(name) == name


@pytest.mark.parametrize("name", HEAVY, ids=lambda name: name[:12])
def test_heavy_names(name: str) -> None:
    """A name cannot make more of itself than the bound on work allows, nor nest deeper than the interpreter does."""
    assert len(demangle(name)) <= MAX_WORK


@pytest.mark.parametrize("name", [*LEGACY, *V0, *CPP])
def test_every_beginning(name: str) -> None:
    """A name that ends too early, or goes on, does no harm."""
    for end in range(len(name)):
        assert isinstance(demangle(name[:end]), str)
        assert isinstance(demangle(name[:end] + name), str)


def test_names_too_long() -> None:
    """A name beyond the bound stays as it is."""
    assert demangle(f"_Z1f{'i' * (MAX_NAME - 4)}") != f"_Z1f{'i' * (MAX_NAME - 4)}"
    assert demangle(f"_Z1f{'i' * MAX_NAME}") == f"_Z1f{'i' * MAX_NAME}"


PIECES = st.sampled_from(
    ["N", "Z", "S_", "S0_", "St", "T_", "T0_", "I", "E", "J", "L", "X", "Dp", "DT", "K", "P", "R", "O", "F", "M", "A3_",
     "1a", "3foo", "v", "i", "c", "C1", "D2", "Ul", "Ut_", "E_", "_", "pl", "cv", "li", "Li1E", "B", "B_", "B3_", "C",
     "Cs1_1a", "Nv", "NC", "s_", "u3_a1", "T", "G_", "D", "L_", "L0_", "Kj1_", "p", "Y", "X", "17h0123456789abcdef"]
)  # fmt: skip


@given(st.sampled_from(["_R", "_Z", "_ZN", ""]), st.lists(PIECES | st.text(max_size=3), max_size=60))
def test_any_name(prefix: str, pieces: list[str]) -> None:
    """Whatever a name is put together from, it is read or stays as it is."""
    assert len(demangle(prefix + "".join(pieces))) <= MAX_WORK


RUST = r"""(module (memory 1)
  (func $_ZN4shop5total17h0123456789abcdefE (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
  (func $_RINvC4shop4cartlE (param i32) (result i32) (call $_ZN4shop5total17h0123456789abcdefE (local.get 0)))
  (func (@name "_ZNK4shop4CartIiE5shareEi") (param i32) (result i32) (call $_RINvC4shop4cartlE (local.get 0)))
  (func (export "run") (param i32) (result i32) (call 2 (local.get 0)))
  (func $_ZN5alloc5alloc18handle_alloc_error17h0123456789abcdefE unreachable)
  (func (export "hog") (call $_ZN5alloc5alloc18handle_alloc_error17h0123456789abcdefE)))"""


async def test_frames(runtime: Runtime, wat: Callable[[str], bytes]) -> None:
    """The frames of a trap have plain names, and so does its message."""
    module = await runtime.load(wat(RUST))
    with pytest.raises(Trap, match=r"by zero in shop::total$") as caught:
        await module.call("run", 0)
    assert [frame.function for frame in caught.value.frames] == [
        "shop::total",
        "shop::cart::<i32>",
        "shop::Cart<int>::share(int) const",
        "run",
    ]
    assert caught.value.frames[0].index == 0


async def test_frames_of_a_component(runtime: Runtime) -> None:
    """The same in a component."""
    core = RUST.replace("(module", "(core module $m")
    module = await runtime.load(
        f"""(component {core} (core instance $i (instantiate $m))
          (func (export "run") (param "n" s32) (result s32) (canon lift (core func $i "run"))))""",
        language="wat",
    )
    with pytest.raises(Trap, match=r"by zero in shop::total$") as caught:
        await module.call("run", 0)
    assert caught.value.frames[1].function == "shop::cart::<i32>"


async def test_failed_allocations(runtime: Runtime, wat: Callable[[str], bytes]) -> None:
    """Rust's handler for failed allocations is known by its mangled name."""
    with pytest.raises(MemoryExceeded):
        await (await runtime.load(wat(RUST))).call("hog")


async def test_names_are_read_once(runtime: Runtime, wat: Callable[[str], bytes]) -> None:
    """The second trap in a function finds its name ready."""
    module = await runtime.load(wat(RUST))
    for _ in range(2):
        with pytest.raises(Trap):
            await module.call("run", 0)
    names = module._ready.info.names
    assert len(names) == 3
    assert names[b"_RINvC4shop4cartlE"] == "shop::cart::<i32>"
