"""The values of a recipe by their former names, when each kind of part was a field `kind`."""

from tests.benchmarks.old_rows import by_path

KINDS = {
    "KeptGenerator": "generator",
    "FreshGenerator": "fresh-generator",
    "MetaGenerator": "meta-generator",
    "NoisyLayer": "noisy-layer",
    "PixelOptimization": "pixels",
    "SoftLabelPixels": "impressions",
    "ImagePool": "pool",
    "BatchBank": "bank",
    "VaeReplay": "vae",
    "AverageGenerator": "average-generator",
    "LogitL1": "logit-l1",
    "SoftKl": "soft-kl",
    "DifferenceEntropy": "difference-entropy",
    "TwoSource": "two-source",
    "MetaStep": "meta",
    "Adam": "adam",
    "Sgd": "sgd",
    "ConstantRate": "constant",
    "CosineRate": "cosine",
    "StepRate": "steps",
    "ExpIncrement": "exp-increment",
    "Bounded": "bounded",
    "Log1p": "log1p",
}
"""The former `kind` of each type."""

NETWORK = {"network", "head", "latent", "width", "norm_eps", "spectral"}

UNUSED = {
    "generator": {"steps", "latent_lr", "renew_every"},
    "fresh-generator": {"renew_every"},
    "meta-generator": set(),
    "noisy-layer": {"latent_lr", "conditional", "conditioning"},
    "pixels": {*NETWORK, "latent_lr", "renew_every", "conditional", "conditioning"},
    "impressions": {*NETWORK, "latent_lr", "renew_every", "conditional", "conditioning"},
    "none": {"capacity", "share", "every", "decay", "latent", "lr", "steps"},
    "pool": {"every", "decay", "latent", "lr", "steps"},
    "bank": {"decay", "latent", "lr", "steps"},
    "vae": {"capacity", "every", "decay"},
    "average-generator": {"capacity", "every", "latent", "lr", "steps"},
    "logit-l1": {"temperature"},
    "soft-kl": set(),
    "difference-entropy": set(),
    "plain": {"replay_weight", "inner_lr", "first_order", "bound", "refresh"},
    "two-source": {"inner_lr", "first_order"},
    "meta": {"replay_weight"},
    "adam": {"momentum", "nesterov"},
    "sgd": {"betas"},
    "constant": {"final", "milestones"},
    "cosine": {"milestones"},
    "steps": {"final"},
    "exp-increment": {"bound"},
    "bounded": {"refresh"},
    "log1p": {"bound", "refresh"},
}
"""Former fields that a kind did not use."""


def used_values(old):
    """Return the old values by path, without those that the kinds of the recipe did not use."""
    kinds = {path.rpartition(".")[0]: kind for path, kind in old.items() if path.endswith(".kind")}
    policies = {path: old[f"{path}.policy"] for path in ("recipe.generator", "recipe.student")}
    used = {}
    for path, value in old.items():
        part, _, name = path.rpartition(".")
        unused = UNUSED.get(kinds.get(part, ""), set()) | UNUSED.get(policies.get(part, ""), set())
        if part == "recipe.synthesizer" and not old["recipe.synthesizer.conditional"]:
            unused = unused | {"conditioning"}
        if name not in unused:
            used[path] = [_used_term(term) for term in value] if name == "terms" else value
    return used


def _used_term(term):
    unused = UNUSED[term["wrapper"]["kind"]]
    wrapper = {name: value for name, value in term["wrapper"].items() if name not in unused}
    return {**term, "wrapper": wrapper}


def former_values(data):
    """Return the values of a job by path, under their former names.

    Args:
        data: `Job.as_data()`, with the names and the defaults of defaults.json.
    """
    recipe = dict(data["recipe"])
    former = {
        **{name: recipe[name] for name in ("selection", "average")},
        "name": data["name"],
        "terms": [_former_term(term) for term in recipe["terms"]],
        "synthesizer": _former_synthesizer(recipe["synthesizer"]),
        "memory": _former_part(recipe["memory"], "none"),
        "objective": _former_part(recipe["objective"]),
        "update": _former_part(recipe["update"], "plain"),
        "schedule": _former_schedule(recipe["schedule"]),
        "generator": _former_optimizer(recipe["generator"]),
        "student": _former_optimizer(recipe["student"]),
    }
    teacher = {**_without_type(data["teacher"]), "spec": _without_type(data["teacher"]["spec"])}
    return by_path({"recipe": former, "plan": _without_type(data["plan"]), "teacher": teacher})


def _former_schedule(schedule):
    """Return the schedule without the field that came later."""
    former = _without_type(schedule)
    assert former.pop("procedural_batches") == 0
    return former


def _without_type(part):
    return {name: value for name, value in part.items() if name != "type"}


def _former_part(part, kind_of_none=None):
    if part is None:
        return {"kind": kind_of_none}
    return {"kind": KINDS[part["type"]], **_without_type(part)}


def _former_term(term):
    return {**_without_type(term), "wrapper": _former_part(term["wrapper"], "plain")}


def _former_synthesizer(part):
    former = _former_part(part)
    if "network" in former:
        network = _without_type(former.pop("network"))
        assert network.pop("reduction") == 1  # Added later.
        former |= {**network, "network": network.pop("trunk")}
        del former["trunk"]
    if "conditioning" in former:
        former["conditional"] = former["conditioning"] is not None
        if not former["conditional"]:
            del former["conditioning"]
    return former


def _former_optimizer(part):
    former = _former_part(part)
    policy = former.pop("policy")
    return {**former, "policy": KINDS[policy["type"]], **_without_type(policy)}
