"""Objects within rows: their parts are columns such as `address.zip`, and a pydantic field may go by its alias."""

import dataclasses
from typing import NamedTuple

import attrs
import msgspec
import numpy as np
import pandas as pd
import pydantic
import pydantic.v1
import pytest

from otel_ml import Baseline, BaselineError, Monitor, testing

COLUMNS = ["age", "address.zip", "address.place.lat"]


def to_camel(name):
    return {"age": "Age", "zip": "postalCode"}.get(name, name)


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    lat: float


@dataclasses.dataclass
class Address:
    zip: str
    place: Place


@dataclasses.dataclass
class Person:
    age: float
    address: Address | None


class Spot(pydantic.BaseModel):
    lat: float


class Home(pydantic.BaseModel):
    zip: str
    place: Spot


class Customer(pydantic.BaseModel, frozen=True):
    age: float
    address: Home | None


class Renamed(pydantic.BaseModel, alias_generator=to_camel, populate_by_name=True):
    zip: str
    place: Spot


class Aliased(pydantic.BaseModel, populate_by_name=True):
    age: float = pydantic.Field(validation_alias=pydantic.AliasChoices("Age", "years"))
    address: Renamed


class Old(pydantic.v1.BaseModel):
    age: float = pydantic.v1.Field(alias="Age")
    address: dict


class Struct(msgspec.Struct, rename="camel"):
    home_zip: str
    age: float


@attrs.define
class Attrs:
    age: float
    address: dict


def dicts(count=300):
    rng = np.random.default_rng(0)
    return [
        {"age": float(age), "address": {"zip": str(code), "place": {"lat": float(lat)}}}
        for age, code, lat in zip(rng.normal(40, 9, count), rng.choice(["10115", "80331"], count), rng.normal(50, 2, count), strict=True)
    ]


def person(row):
    address = row["address"]
    return Person(row["age"], Address(address["zip"], Place(address["place"]["lat"])))


class Tuple(NamedTuple):
    age: float
    address: dict


FORMS = {
    "dicts": lambda row: row,
    "flat": lambda row: pd.json_normalize(row).to_dict("records")[0],
    "dataclasses": person,
    "pydantic": lambda row: Customer(**row),
    "attrs": lambda row: Attrs(**row),
    "named tuples": lambda row: Tuple(**row),
    "objects in a dict": lambda row: row | {"address": person(row).address},
}


@pytest.fixture(scope="module")
def baseline():
    return Baseline.from_data(dicts(), model="nested", version="1", schema={"age": {"minimum": 0}})


def counted(baseline, rows, **options):
    monitor = Monitor(baseline, **options)
    predict = monitor.wrap(lambda _: None)
    for data in rows:
        predict(data)
    found = testing.collect(monitor)
    assert (found.errors, found.dropped["unsupported"]) == ({}, 0)
    return found


def bins_of(baseline):
    return {feature.name: dict(zip(feature.histogram.labels, feature.histogram.counts, strict=True)) for feature in baseline.features}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_rows_of_every_form_give_the_same_columns_to_the_baseline_and_to_the_monitor(baseline, form):
    rows = [form(row) for row in dicts()]
    assert list(baseline.columns) == COLUMNS
    assert (
        Baseline.from_data(rows, model="nested", version="1").features == Baseline.from_data(dicts(), model="nested", version="1").features
    )
    for batches in (rows, [rows]):
        found = counted(baseline, batches)
        assert found.features == bins_of(baseline)
        assert not any(any(kinds.values()) for kinds in found.violations.values())


def test_columns_of_mappings_are_laid_out_too(baseline):
    flat = pd.json_normalize(dicts())
    columns = {"age": flat["age"].to_numpy(), "address": {"zip": list(flat["address.zip"]), "place": {"lat": flat["address.place.lat"]}}}
    assert counted(baseline, [columns]).features == bins_of(baseline)
    assert Baseline.from_data(columns, model="nested", version="1").columns == baseline.columns


@pytest.mark.parametrize("empty", [{"age": 40.0, "address": None}, Person(40.0, None), Customer(age=40.0, address=None)], ids=str)
def test_parts_of_what_is_none_are_missing_and_of_what_is_not_there_are_missing_columns(baseline, empty):
    found = counted(baseline, [empty]).violations
    assert [found[name]["missing"] for name in COLUMNS] == [0, 1, 1]
    assert [found[name]["missing_column"] for name in COLUMNS] == [0, 0, 0]
    found = counted(baseline, [{"age": 40.0}, {"age": 40.0, "address": {"zip": "10115"}}]).violations
    assert [found[name]["missing_column"] for name in COLUMNS] == [0, 1, 2]


def test_a_further_part_is_an_extra_column(baseline):
    row = dicts(1)[0]
    row["address"]["street"] = "Invalidenstr."
    assert counted(baseline, [row]).violations["__other__"] == {"extra_column": 1}


def test_an_optional_object_of_the_data_is_no_column_of_its_own():
    baseline = Baseline.from_data([*dicts(), {"age": 40.0, "address": None}], model="nested", version="1")
    assert list(baseline.columns) == COLUMNS
    assert baseline.feature("address.zip").histogram.counts[-2] == 1


def test_fields_go_by_the_alias_that_the_baseline_knows():
    flat = pd.json_normalize(dicts()).set_axis(["Age", "address.postalCode", "address.place.lat"], axis=1)
    baseline = Baseline.from_data(flat, model="aliased", version="1")
    rows = [Aliased(age=row["age"], address=row["address"]) for row in dicts()]
    found = counted(baseline, [rows])
    assert found.features == bins_of(baseline)
    assert not any(any(kinds.values()) for kinds in found.violations.values())
    found = counted(baseline, [Old(Age=row["age"], address=row["address"]) for row in dicts(5)])
    assert (found.violations["Age"]["missing_column"], found.violations["address.postalCode"]["missing_column"]) == (0, 5)


def test_the_field_s_own_name_goes_before_its_alias(baseline):
    rows = [Aliased(age=row["age"], address=row["address"]) for row in dicts()]
    assert counted(baseline, [rows]).features == bins_of(baseline)


def test_renamed_fields_of_msgspec_are_known_by_both_names():
    rows = [Struct(row["address"]["zip"], row["age"]) for row in dicts()]
    for names in (["homeZip", "age"], ["home_zip", "age"]):
        data = {names[0]: [row.home_zip for row in rows], names[1]: [row.age for row in rows]}
        baseline = Baseline.from_data(data, model="structs", version="1")
        assert counted(baseline, [rows]).features == bins_of(baseline)


def test_a_baseline_of_flat_names_looks_into_no_object(train, numeric):
    row = {"age": 40.0, "visits": 2, "more": {"age": 1, "visits": 5}}
    found = counted(numeric, [row])
    assert (found.rows, found.violations["__other__"]["extra_column"]) == (1, 1)


def test_objects_are_laid_out_down_to_a_depth_even_if_they_hold_themselves(baseline):
    deep = {"x": 1.0}
    for _ in range(6):
        deep = {"in": deep, "y": 1.0}
    with pytest.raises(BaselineError, match="holds a dict"):
        Baseline.from_data([deep] * 3, model="deep", version="1")
    loop = {"age": 40.0}
    loop["address"] = loop
    found = counted(baseline, [loop])
    assert found.rows == 1
    wide = {"age": 40.0, "address": {str(number): number for number in range(100_000)}}
    assert counted(baseline, [wide]).violations["address.zip"]["missing_column"] == 1


def test_a_segment_may_be_a_part(baseline):
    rows = [form(row) for row in dicts(20) for form in (FORMS["dicts"], person, FORMS["pydantic"])]
    answers = Baseline.from_data(dicts(), model="nested", version="2", predictions=np.random.default_rng(0).random(300))
    monitor = Monitor(answers, segment="address.zip", segments=["10115", "80331"])
    predict = monitor.wrap(lambda _: 0.4)
    for row in rows:
        predict(row)
    found = testing.collect(monitor).segments
    assert (found["__other__"], sum(found.values()), min(found["10115"], found["80331"]) > 0) == (0, 60, True)


def test_golden_records_and_importance_have_the_form_of_the_rows(tmp_path):
    def predict(rows):
        return [row["address"]["place"]["lat"] > 50 for row in rows]

    rows = dicts()
    baseline = Baseline.from_data(rows, model="nested", version="3", predictions=predict(rows), predict=predict, golden=12)
    weights = {feature.name: feature.importance for feature in baseline.features}
    assert weights == {"age": 0, "address.zip": 0, "address.place.lat": 1}
    baseline.save(tmp_path / "b.json")
    assert Monitor(Baseline.load(tmp_path / "b.json")).verify(predict).ok
    objects = [person(row) for row in rows]
    asked = Baseline.from_data(
        objects,
        model="nested",
        version="4",
        predictions=predict(rows),
        predict=lambda rows: [row.address.place.lat > 50 for row in rows],
    )
    assert {feature.name: feature.importance for feature in asked.features} == weights
