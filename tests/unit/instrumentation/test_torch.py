"""PyTorch: a module in evaluation mode counts, what it calls does not, training does not."""

import copy
import pickle

import numpy as np
import pytest

from otel_ml.instrumentation.torch import TorchInstrumentor

torch = pytest.importorskip("torch")
nn = torch.nn


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 1), nn.Sigmoid())).eval()


def test_the_outermost_module_counts_its_rows_and_predictions(watch, problem, baseline, model):
    watched = watch(TorchInstrumentor, baseline)
    answer = model(torch.from_numpy(problem.X))
    assert answer.requires_grad
    churn = watched["churn"]
    assert (churn.calls, churn.rows, churn.dropped) == (1, 200, {})
    assert churn.predictions["1"] == (answer >= 0.5).sum()
    assert watched.models() == {"churn"}


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_every_kind_of_number_is_read(watch, problem, baseline, model, kind):
    watched = watch(TorchInstrumentor, baseline)
    with torch.inference_mode():
        model.to(kind)(torch.from_numpy(problem.X).to(kind))
    assert sum(watched["churn"].predictions.values()) == 200
    assert watched["churn"].dropped == {}


def test_training_counts_nothing_even_where_a_part_is_frozen(watch, problem, model):
    watched = watch(TorchInstrumentor)
    model.train()
    model[2].eval()
    loss = nn.functional.binary_cross_entropy(model(torch.from_numpy(problem.X)).reshape(-1), torch.from_numpy(problem.y).float())
    loss.backward()
    assert watched.models() == set()


def test_a_module_called_by_names_and_a_failing_one(watch, problem):
    class Ranker(nn.Module):
        def forward(self, *, rows, mask=None):
            return {"hidden": rows, "logits": rows.sum(dim=1)}

    watched = watch(TorchInstrumentor)
    ranker = Ranker().eval()
    ranker(rows=torch.from_numpy(problem.X))
    with pytest.raises(TypeError):
        ranker(rows=torch.from_numpy(problem.X), nonsense=1)
    assert (watched["Ranker"].calls, watched["Ranker"].failures, watched["Ranker"].rows) == (2, 1, 400)


def test_compiled_traced_scripted_and_exported_modules_work_and_count(watch, problem, model):
    watched = watch(TorchInstrumentor)
    rows = torch.from_numpy(problem.X)
    expected = model(rows)
    others = [
        torch.compile(model, backend="eager", fullgraph=True),
        torch.jit.trace(model, rows),
        torch.jit.script(model),
        torch.fx.symbolic_trace(model),
        torch.export.export(model, (rows,)).module(),
    ]
    assert watched["Sequential"].calls == 1
    with torch.no_grad():
        for other in others:
            assert torch.allclose(other(rows), expected)
    assert sum(watched[name].calls for name in watched.models()) == 1 + len(others)


def test_a_compiled_function_may_call_a_module(watch, problem, model):
    watch(TorchInstrumentor)

    @torch.compile(backend="eager", fullgraph=True)
    def doubled(rows):
        return 2 * model(rows)

    rows = torch.from_numpy(problem.X)
    assert torch.allclose(doubled(rows), 2 * model(rows))


def test_modules_stay_what_they_were_and_uninstrument_puts_the_method_back(watch, problem, model):
    before = dict(vars(nn.Module))
    watched = watch(TorchInstrumentor)
    rows = torch.from_numpy(problem.X)
    assert torch.equal(pickle.loads(pickle.dumps(model))(rows), model(rows))
    assert torch.equal(copy.deepcopy(model)(rows), model(rows))
    assert list(vars(model)) == list(vars(nn.Sequential()))
    TorchInstrumentor().uninstrument()
    assert dict(vars(nn.Module)) == before
    calls = watched["Sequential"].calls
    assert np.isfinite(model(rows).detach().numpy()).all()
    assert watched["Sequential"].calls == calls


@pytest.mark.parametrize("form", [dict, lambda parts: tuple(parts.values())], ids=["mapping", "tuple"])
def test_each_of_several_outputs_counts_as_itself(watch, problem, several, form):
    class Heads(nn.Module):
        def forward(self, x):
            return form({"kind": torch.softmax(x[:, :2], 1), "price": x[:, 1:2] * 3})

    watched = watch(TorchInstrumentor, several)
    Heads().eval()(torch.from_numpy(problem.X))
    counted = watched["several"]
    assert (counted.errors, counted.dropped, counted.outputs) == ({}, {}, {"price": 200})
    assert counted.predictions["1"] == (problem.X[:, 1] >= problem.X[:, 0]).sum()
