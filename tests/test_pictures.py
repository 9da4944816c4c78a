"""The pictures of docs/architecture.md show modules that exist, as scripts/draw_routes.py draws them."""

import runpy

import pytest

from tests.documentation import ROOT

SCRIPT = runpy.run_path(str(ROOT / "scripts" / "draw_routes.py"))


@pytest.mark.parametrize("name", SCRIPT["ROUTES"])
def test_every_step_names_a_module_that_exists(name):
    missing = [module for _, module, _ in SCRIPT["ROUTES"][name] if not (ROOT / module).exists()]
    assert not missing


@pytest.mark.parametrize("name", SCRIPT["ROUTES"])
def test_the_committed_picture_is_what_the_script_draws(name):
    picture = ROOT / "docs" / "images" / f"route-{name}.svg"
    assert picture.read_text(encoding="utf-8") == SCRIPT["draw"](SCRIPT["ROUTES"][name])
