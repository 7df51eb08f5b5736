"""Broader nouns: what a noun is a kind of, from the starter list, which is WordNet's tree of concrete nouns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from tasks.labels.index_form import folded, index_form
from vectordb.starter.captions import pairs

UNSURE = "?"


def _forms(words: str) -> frozenset[str]:
    return frozenset(index_form(word) for word in words.split(", "))


# nouns that fit nearly every image, or that only a taxonomist uses
TOO_GENERAL = _forms(
    """
    abstraction, accessory, act, adornment, agent, angiosperm, apparatus, area, article, artifact, attribute,
    bulbous plant, causal agent, chordate, commodity, component, consumer goods, conveyance, course, covering,
    craft, creation, creature, cut, device, diapsid, entity, equipment, event, facility, foodstuff, form, framework,
    furnishing, group, implement, individual, ingredient, instrument, instrumentality, invertebrate, item, life,
    line, living thing, material, matter, means, mechanical device, mechanism, member, metatherian, natural object,
    object, organism, part, particle, piece, placental, plant material, plant organ, plant part, point, product,
    property, region, representation, restraint, section, shape, solid, something, space, spermatophyte, state,
    structure, stuff, substance, support, surface, system, teleost fish, thing, unit, vascular plant, vertebrate,
    way, whole, woody plant, work, body, place, artefact, kind, type, set, collection, animate thing, physical
    object, physical entity, cover, protective covering, spiny finned fish, even toed ungulate, odd toed ungulate,
    archosaur, saurian, pteridophyte, gramineous plant, pair, bunch, lot, side, view, background, photo, picture,
    image, photograph, shot, scene, top, one, close up, sort, species, variety, female, male, adult
    """
)


@dataclass(frozen=True, slots=True)
class Sense:
    """One sense of ``noun``, as the list writes it; the rest are index forms.

    ``broader``: the noun directly above it. ``above``: head noun and familiar nouns above it, nearest first.
    ``sure``: those of both that all usual senses of the noun have, so that the noun alone implies them.
    """

    noun: str
    broader: str
    above: tuple[str, ...]
    sure: frozenset[str]


def senses(form: str) -> list[Sense]:
    """The senses of a noun; empty for a noun that is not in the list."""
    return [_sense(noun, broader, kinds) for noun, broader, kinds in _tree().get(form, ())]


def certain(form: str, name: str = "") -> list[str]:
    """What all usual senses of a noun are, nearest first.

    ``name``: the noun as it is written, folded. Nouns of the same form may be different things: "porcupines" are
    meatballs, too, "drawers" underpants. A singular is itself; a plural may be the plural of the singular or the
    other thing, and is only what both are.
    """
    found = senses(form)
    if name in {"", form}:
        found = [one for one in found if folded(one.noun) == form] or found
    nouns: dict[str, set[str]] = {}
    for one in found:
        nouns.setdefault(one.noun, set()).update(one.sure)
    shared = set.intersection(*nouns.values()) if nouns else set()
    return list(dict.fromkeys(up for one in found for up in (one.broader, *one.above) if up in shared))


@cache
def misleading() -> frozenset[str]:
    """Compounds, as index forms, whose last word is not what they are."""
    return frozenset(map(index_form, _lines("misleading.txt")))


@cache
def _tree() -> Mapping[str, Sequence[tuple[str, str, str]]]:
    """Form of a noun → noun, broader noun and line of ``kinds.txt`` for each sense.

    Takes about half a second and 17 MB, once.
    """
    found: dict[str, tuple[tuple[str, str, str], ...]] = {}
    for (noun, broader), kinds in zip(pairs(), _lines("kinds.txt"), strict=True):
        form = index_form(noun)
        found[form] = (*found.get(form, ()), (noun, broader, kinds))
    return found


def _sense(noun: str, broader: str, kinds: str) -> Sense:
    up = index_form(broader)
    found = [(index_form(one.removesuffix(UNSURE)), one) for one in kinds.removeprefix(UNSURE).split(",") if one]
    sure = {form for form, one in found if not one.endswith(UNSURE)}
    sure = sure if kinds.startswith(UNSURE) else {up, *sure}
    return Sense(noun, up, tuple(form for form, _ in found), frozenset(sure))


def _lines(name: str) -> list[str]:
    return files("vectordb.starter").joinpath(name).read_text(encoding="utf-8").splitlines()
