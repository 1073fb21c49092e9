"""The house: imports run one way down a list, sizes stay small, what is public is typed and documented."""

from __future__ import annotations

import ast
import itertools
import math
import posixpath
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from explorer import assets as bundles
from tests import sources
from tests.sources import Function, Source

pytestmark = pytest.mark.once

LISTED = """
engine.version engine.errors engine.text engine.graph engine.ops engine.names engine.compat engine.devices
engine.program engine.calls engine.scopes engine.build engine.trace
engine.flow engine.exposure engine.stats engine.magnitudes engine.kernel engine.nvrtc engine.build_kernel
engine.sources engine.probe
engine.convolutions engine.packing engine.sums engine.rows engine.scaling engine.reading engine.tape engine.grad
engine.numbers engine.use engine.moves engine.rules engine.fusing engine.differences engine.check
engine.operations engine.expansion engine.residuals engine.cost engine.timing
engine.fold engine.ways engine.explain
engine.layers engine.slopes engine.factors engine.profile
engine.tasks.activations engine.tasks.initialisers engine.tasks.norms engine.tasks.losses
engine.tasks.parts engine.tasks.mlp engine.tasks.conv engine.tasks.recurrent engine.tasks.transformer
engine.tasks.models engine.tasks.precision engine.tasks.settings
engine.tasks.data engine.tasks.plane engine.tasks.sequences engine.tasks.table
engine.tasks.small engine.tasks.problem engine.tasks.catalogue engine.tasks
engine.underflow
engine.health.finding engine.health.evidence engine.health.remedies engine.health.broken engine.health.units
engine.health.reach engine.health.scale engine.health.motion engine.health.diagnosis engine.health
engine.optimisers engine.flat engine.loop engine.shares engine.divisible engine.parallel engine.replicas engine.ring
engine.training engine.more
engine.track engine.history engine.evaluate engine.snapshots engine.runs
engine.cluster engine.checkpoints engine.store engine.saving
engine.whatif engine.sweep engine.surface engine.paths engine.valley
engine.sampling engine.wire engine.events engine

explorer.errors explorer.late explorer.frozen explorer.addresses explorer.gauges explorer.theme explorer.target
explorer.assets explorer.answerer
explorer.geometry explorer.dot explorer.dot_worker explorer.dot_process explorer.layout
explorer.steps explorer.scene explorer.figures explorer.svg explorer.drawing
explorer.lessons explorer.lessons.vocabulary explorer.lessons.lesson explorer.lessons.table explorer.lessons.load
explorer.lessons.course
explorer.seen explorer.room explorer.problems explorer.pace explorer.frames explorer.extras explorer.pair
explorer.limits explorer.uploads explorer.form explorer.proof explorer.sheet explorer.looking explorer.closeup
explorer.slices
explorer.keeping explorer.edits explorer.checking explorer.divided explorer.session explorer.place
explorer.members explorer.followed explorer.follow
explorer.lessons.marks explorer.lessons.costs explorer.lessons.readings explorer.lessons.play
explorer.folding explorer.inspecting explorer.crew explorer.turns
explorer.options explorer.opening explorer.fleet explorer.fleet_worker explorer.fleet_process explorer.channel
explorer.plain explorer.classroom explorer.qr
explorer.saves explorer.headless explorer.report explorer.launching explorer.worker
explorer.recording explorer.lessons.recorded explorer.saved explorer.rasters explorer.tables explorer.exporting
explorer.views explorer.views.graph explorer.views.lesson explorer.views.parallel explorer.views.room
explorer.views.setup
explorer.views.classroom explorer.views.widget
explorer.drawn explorer.showing explorer.running explorer.dividing explorer.teaching explorer.placing explorer.hosting
explorer.app
explorer.joining explorer.live explorer.server explorer.page_server explorer.watch_page explorer.link explorer.watching
explorer.telling explorer.heads explorer.page_servers explorer.front explorer.public
explorer.handle explorer.notebook explorer explorer.doctor explorer.commands explorer.cli
"""
"""Every module; each may import those that stand before it."""

ROOMS = LISTED.split()
VIEWS = {room for room in ROOMS if room.startswith("explorer.views.")}
PICTURES = {"explorer", "panel", "bokeh", "graphviz", "pygraphviz", "param"}
GEOMETRY = {"explorer.geometry", "explorer.dot", "explorer.dot_worker", "explorer.dot_process", "explorer.layout"}
NUMBERS = {"jax", "engine.numbers", "engine.reading", "engine.tape", "engine.grad", "engine.training", "engine.explain"}
OPTIONAL = {"flax", "equinox", "orbax", "tensorboard"}
SERIALISERS = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
EVALUATORS = {"eval", "exec", "compile", "__import__"}
EXITS = {"sys.exit", "os._exit", "os.abort", "exit", "quit", "SystemExit"}
ENTRIES = (
    *("graphview/main.js", "graphview/setup.js", "graphview/notebook.js"),
    *("room/main.js", "parallel/main.js", "lesson/main.js", "saved/start.js"),
    *("classroom/main.js", "follow/main.js", "notice/main.js"),
)

Found = Callable[[Source], Iterable[str]]


def offenders(found: Found, among: Iterable[Source] | None = None) -> dict[str, list[str]]:
    """For each module what was found in it that shouldn't be there."""
    each = {source.module: sorted(found(source)) for source in among or sources.product()}
    return {module: names for module, names in each.items() if names}


# ---- imports -------------------------------------------------------------------------------------------------------


def test_every_module_has_a_place_in_the_list() -> None:
    assert sorted(source.module for source in sources.product()) == sorted(ROOMS)


def test_the_house_on_one_page_names_every_module() -> None:
    said = set(re.findall(r"`([\w./]+)`", (sources.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    rooms = [room for room in ROOMS if room.count(".") and not room.endswith("version")]
    named = lambda room: {room.rpartition(".")[2], room.partition(".")[2]} & said or f"{room.split('.')[1]}/" in said
    assert [room for room in rooms if not named(room)] == []


def test_imports_run_one_way() -> None:
    assert offenders(lambda source: _rooms(source) - {source.module, *ROOMS[: ROOMS.index(source.module)]}) == {}


def test_the_engine_knows_no_pictures() -> None:
    engine = [source for source in sources.product() if not source.module.startswith("explorer")]
    assert offenders(lambda source: _libraries(source) & PICTURES, engine) == {}


def test_importing_the_engine_loads_no_pictures() -> None:
    code = f"import sys, engine; print(*sorted({PICTURES!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=sources.ROOT)
    assert done.stdout.strip() == ""


def test_geometry_knows_no_numbers() -> None:
    geometry = [source for source in sources.product() if source.module in GEOMETRY]
    assert offenders(lambda source: (_rooms(source) | _libraries(source)) & NUMBERS, geometry) == {}


def test_views_know_each_other_no_more_than_the_session_knows_them() -> None:
    inside = [source for source in sources.product() if source.module in {*VIEWS, "explorer.session"}]
    assert offenders(lambda source: _rooms(source) & VIEWS - {source.module}, inside) == {}


def test_nobody_uses_private_names_of_another_module() -> None:
    assert offenders(_private) == {}


def test_nothing_private_of_jax_is_used() -> None:
    reached = lambda source: [ast.unparse(node) for node in source.all(ast.Attribute) if node.attr == "_src"]
    assert offenders(lambda source: [*reached(source), *(name for name in source.imported() if "._src" in name)]) == {}


def test_imports_stand_at_the_top() -> None:
    assert offenders(_late_imports) == {}


def _rooms(source: Source) -> set[str]:
    """Modules of ours that one imports, those too that are loaded late, by name."""
    return {room for room in map(_room, source.imported()) if room} | {text for text in source.strings() if _late(text)}


def _late(text: str) -> bool:
    return "." in text and text in ROOMS


def _room(name: str) -> str | None:
    """The module that an imported name lies in: the longest that it begins with."""
    parts = name.split(".")
    prefixes = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in ROOMS), None)


def _libraries(source: Source) -> set[str]:
    return {name.partition(".")[0] for name in source.imported()}


def _private(source: Source) -> list[str]:
    """``from engine.ops import _secret``, and ``ops._secret``."""
    names = [name for name in source.imported() if _room(name)]
    modules = {name.rpartition(".")[2] for name in names if name in ROOMS}
    found = [name for name in names if "._" in name and not name.endswith("__")]
    for node in source.all(ast.Attribute):
        if isinstance(node.value, ast.Name) and node.value.id in modules and node.attr.startswith("_"):
            found.append(ast.unparse(node))
    return found


def _late_imports(source: Source) -> list[str]:
    inside = (node for function in source.functions() for node in ast.walk(function))
    return [
        ast.unparse(node)
        for node in inside
        if (isinstance(node, ast.Import) and not {alias.name.partition(".")[0] for alias in node.names} <= OPTIONAL)
        or (isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] not in OPTIONAL)
    ]


# ---- what is not done ----------------------------------------------------------------------------------------------


def test_no_text_is_run_as_code() -> None:
    assert offenders(lambda source: _called(source) & EVALUATORS) == {}
    assert offenders(lambda source: _libraries(source) & SERIALISERS) == {}


def test_only_the_command_line_exits() -> None:
    assert offenders(lambda source: (_called(source) | _raised(source)) & EXITS) == {
        "explorer.cli": ["os._exit", "sys.exit"]
    }


def _called(source: Source) -> set[str]:
    return {ast.unparse(node.func) for node in source.all(ast.Call)}


def _raised(source: Source) -> set[str]:
    return {ast.unparse(node.exc) for node in source.all(ast.Raise) if node.exc}


# ---- what is public ------------------------------------------------------------------------------------------------


def test_every_file_says_what_it_is() -> None:
    files = [source for source in sources.everything() if source.text]
    assert [source.module for source in files if not ast.get_docstring(source.tree)] == []


def test_public_names_are_documented() -> None:
    assert offenders(_undocumented) == {}


def test_public_functions_are_typed() -> None:
    untyped = lambda node: isinstance(node, Function) and not _typed(node)
    assert offenders(lambda source: [node.name for node in _public(source.tree) if untyped(node)]) == {}


def _undocumented(source: Source) -> list[str]:
    """Public names without a docstring; what a protocol says of its methods holds for those that implement them."""
    public = _public(source.tree)
    said = {node.name for node in public if ast.get_docstring(node)}
    return [node.name for node in public if node.name not in said]


def _public(tree: ast.Module | ast.ClassDef) -> list[Function | ast.ClassDef]:
    """Public functions and classes, and the public methods of these."""
    found = [node for node in tree.body if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")]
    return found + [method for node in found if isinstance(node, ast.ClassDef) for method in _public(node)]


def _typed(function: Function) -> bool:
    given = function.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    own = [argument for argument in arguments if argument.arg not in ("self", "cls")]
    return function.returns is not None and all(argument.annotation for argument in own)


# ---- sizes ---------------------------------------------------------------------------------------------------------


def test_files_are_short() -> None:
    sizes = {str(source.path.relative_to(sources.ROOT)): source.lines for source in sources.everything()}
    sizes |= {name: len(text.splitlines()) for name, text in sources.assets().items()}
    assert {name: size for name, size in sizes.items() if size > 400} == {}
    assert statistics.median(sizes.values()) <= 150


def test_functions_are_short() -> None:
    sizes = {f"{source.module}:{node.name}": _length(node) for source, node in _functions()}
    assert {name: size for name, size in sizes.items() if size > 60} == {}
    assert statistics.median(sizes.values()) <= 8
    assert _nine_in_ten(list(sizes.values())) <= 30


def test_functions_take_few_arguments() -> None:
    assert _nine_in_ten([_arguments(node) for _, node in _functions()]) <= 5


def _functions() -> list[tuple[Source, Function]]:
    return [(source, node) for source in sources.everything() for node in source.functions()]


def _length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _arguments(node: Function) -> int:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def _nine_in_ten(sizes: list[int]) -> int:
    """The size that nine in ten don't exceed."""
    return sorted(sizes)[math.ceil(0.9 * len(sizes)) - 1]


# ---- what a browser loads ------------------------------------------------------------------------------------------

_DECLARED = re.compile(
    r"^(?:export )?(?:async )?(?:function\*?|class|const|let|var) (?:(\w+)|[{\[]([^}\]]*)[}\]])", re.M
)
_IMPORTED = re.compile(r'^import \{ ([^}]*) \} from "(\.\.?/[\w/]+\.js)";$', re.M)
_NAMESPACES = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml")


@pytest.mark.parametrize("name", sources.assets())
def test_a_page_loads_nothing_from_the_network(name: str) -> None:
    text = sources.assets()[name]
    for namespace in _NAMESPACES:  # a name, never fetched
        text = text.replace(namespace, "")
    assert re.findall(r"""(?:https?|wss?)://|["'(=]//|@import|url\((?!["']?data:|#)""", text) == []


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_bundle_defines_each_name_once(entry: str) -> None:
    counts = Counter(_declared(bundles.module(entry)))
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_bundle_imports_nothing(entry: str) -> None:
    assert re.findall(r"^\s*import\b.*|\bimport\(.*|\bexport .* from .*", bundles.module(entry), re.M) == []


@pytest.mark.parametrize("name", [name for name in sources.assets() if name.endswith(".js")])
def test_a_script_imports_what_another_exports_under_the_same_name(name: str) -> None:
    folder = name.rpartition("/")[0]
    for names, path in _IMPORTED.findall(sources.assets()[name]):
        other = sources.assets()[posixpath.normpath(f"{folder}/{path}")]
        exported = set(re.findall(r"^export (?:async )?(?:function\*?|class|const|let) (\w+)", other, re.M))
        assert set(names.split(", ")) <= exported


def test_every_script_is_part_of_a_bundle() -> None:
    bundled = "\n".join(bundles.module(entry) for entry in ENTRIES)
    scripts = {name: text for name, text in sources.assets().items() if name.endswith(".js")}
    assert [name for name, text in scripts.items() if text.splitlines()[0] not in bundled] == []


def _declared(text: str) -> list[str]:
    """Names defined at the top level of a script."""
    found = ([name] if name else re.split(r"[\s,]+", several.strip()) for name, several in _DECLARED.findall(text))
    return list(itertools.chain.from_iterable(found))
