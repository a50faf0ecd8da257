"""Classes of a cohort matched to those of a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from napari_mil.errors import OptionError
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.cohorts.labels import negative_of
from napari_mil.training.cohorts.spellings import key_of
from napari_mil.training.regions.classes import LEFT_OUT


@dataclass(frozen=True)
class MatchedCohort:
    """Cohort in the classes of a classifier."""

    cohort: Cohort
    unmatched: tuple[str, ...]
    """Classes of the cohort that the classifier does not know, or that a mapping leaves out."""
    unmapped: tuple[str, ...]
    """Those of them that no mapping leaves out."""
    n_left_out: int
    """Bags without a class that it knows."""
    renamed: tuple[tuple[str, str], ...]
    """Classes that are called otherwise, and what they are taken for."""


def match_classes(
    cohort: Cohort, classes: Sequence[str], mapping: Mapping[str, str], *, multi_label: bool
) -> MatchedCohort:
    """Return a cohort in the classes of a classifier.

    A class is what the mapping says, otherwise that of its name, otherwise that of its name in
    another spelling (case, kinds of dashes, …). Bags of other classes are left out; where bags
    have several, those classes alone.

    Parameters
    ----------
    cohort
        Labelled bags.
    classes
        Classes of the classifier, in its order.
    mapping
        Class of the classifier by class of the cohort; an empty one leaves such bags out.
    multi_label
        Whether the classifier gives any number of classes.

    Raises
    ------
    OptionError
        If the mapping names a class that is not there, or no class matches.
    """
    given = _known_mapping(cohort, classes, mapping)
    if cohort.multi_label and not multi_label:
        raise OptionError(
            f"Bags of {cohort.root.name} have several classes, the classifier gives one of "
            f"{', '.join(classes)}; choose a classifier of several labels."
        )
    found = {name: given.get(name, _named(name, classes)) for name in cohort.classes}
    matched = {name: own for name, own in found.items() if own}
    if not matched:
        raise OptionError(
            f"None of the classes of {cohort.root.name} ({', '.join(cohort.classes)}) is one of "
            f"the classifier's ({', '.join(classes)}); "
            f"map them{_advised(cohort.classes, classes)}."
        )
    bags = []
    for bag in cohort.bags:
        labels = tuple(dict.fromkeys(matched[name] for name in bag.labels if name in matched))
        if labels or not bag.labels:
            bags.append(replace(bag, label=labels if multi_label else labels[0]))
    return MatchedCohort(
        cohort=replace(cohort, classes=tuple(classes), bags=tuple(bags), multi_label=multi_label),
        unmatched=tuple(name for name in cohort.classes if name not in matched),
        unmapped=tuple(name for name, own in found.items() if own is None),
        n_left_out=len(cohort) - len(bags),
        renamed=tuple((name, own) for name, own in matched.items() if name != own),
    )


def _advised(names: Sequence[str], classes: Sequence[str]) -> str:
    """Return the mapping that the names of two classes on both sides tell; empty if they do not."""
    negative = negative_of(names)
    own_negative = negative_of(classes)
    if negative is None or own_negative is None:
        return " (--map-classes A=b)"
    (positive,) = (name for name in names if name != negative)
    (own_positive,) = (name for name in classes if name != own_negative)
    return f", perhaps {negative}={own_negative},{positive}={own_positive}"


def _known_mapping(
    cohort: Cohort, classes: Sequence[str], mapping: Mapping[str, str]
) -> dict[str, str]:
    """Return the mapping in the spellings of the cohort and of the classifier."""
    known = {}
    for name, wanted in mapping.items():
        own_name = _named(name, cohort.classes)
        own_wanted = _named(wanted, classes) if wanted != LEFT_OUT else LEFT_OUT
        if own_name is None:
            raise OptionError(
                f"The class {name!r} that is mapped is not in {cohort.root.name}; "
                f"there are {', '.join(cohort.classes)}."
            )
        if own_wanted is None:
            raise OptionError(
                f"The class {wanted!r} that {name!r} is mapped to is not the classifier's; "
                f"it has {', '.join(classes)}."
            )
        known[own_name] = own_wanted
    return known


def _named(name: str, classes: Sequence[str]) -> str | None:
    """Return the class of a name, or the only one of that name in another spelling, or None."""
    if name in classes:
        return name
    same = [own for own in classes if key_of(own) == key_of(name)]
    return same[0] if len(same) == 1 else None
