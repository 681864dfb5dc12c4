"""/v1/studies: ask for architectures, tell what training them gave."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service import problems
from service.routes.parameters import NEEDS_JSON, Asker, Id, PageSize, PageToken, Reader, Submitter, created, links
from service.store.keys import KeyStore
from service.store.studies import State, StudyStore
from service.strict import StrictRoute
from service.studies.desk import Desk
from service.studies.schemas import (
    Asked,
    AskRequest,
    Best,
    StudyHistory,
    StudyList,
    StudyRequest,
    StudyView,
    TellRequest,
    TrialList,
    TrialView,
    show_study,
    show_trial,
)

_OF_ONE = ("get", "delete", "post_ask", "post_tell", "get_trials", "get_best", "get_history")


def make_router(store: StudyStore, desk: Desk, log: KeyStore, wait: float) -> APIRouter:
    """The paths of studies.

    Args:
        store: of studies.
        desk: where they are asked.
        log: takes down what was made and deleted.
        wait: seconds for which a client waits for a strategy.
    """
    router = APIRouter(
        prefix="/v1/studies", tags=["studies"], responses=problems.declare(*problems.GUARDED), route_class=StrictRoute
    )
    one = problems.declare(problems.NOT_FOUND, problems.INVALID)

    @router.post(
        "",
        status_code=201,
        dependencies=NEEDS_JSON,
        responses={
            201: {"links": links("study", *_OF_ONE)},
            **problems.declare(*problems.BODY, problems.UNKNOWN_NAME, problems.UNSOLVABLE, problems.REUSED_KEY),
        },
    )
    def create_study(request: StudyRequest, origin: Asker, response: Response) -> StudyView:
        """Begin a search whose architectures the clients evaluate.

        A strategy on a space whose classes can be listed is ready at once; the first question of `crlso` in a space
        that no latent space was learned for takes as long as learning one.
        """
        study, new = desk.create(origin, request.name, request.plan)
        created(response, f"/v1/studies/{study.id}", new=new)
        if new:
            log.write_down(origin.owner, "study.create", study.id)
        return show_study(study)

    @router.get("", responses=problems.declare(problems.INVALID, problems.TOKEN))
    def list_studies(_: Reader, page_size: PageSize = 50, page_token: PageToken = None) -> StudyList:
        """Studies, newest first."""
        page = store.page(page_size, page_token)
        return StudyList(items=[show_study(study) for study in page.items], next_page_token=page.next_token)

    @router.get("/{study}", responses=one)
    def show(study: Id, _: Reader) -> StudyView:
        """One study."""
        return show_study(store.get(study))

    @router.delete("/{study}", status_code=204, responses=one)
    def delete_study(study: Id, caller: Submitter) -> None:
        """Forget a study with all of its trials."""
        store.delete(study)
        log.write_down(caller.id, "study.delete", study)

    @router.post(
        "/{study}/ask",
        dependencies=NEEDS_JSON,
        responses=problems.declare(
            *problems.BODY, problems.NOT_FOUND, problems.UNSOLVABLE, problems.BUSY, problems.STUDY_BUSY
        ),
    )
    async def ask(study: Id, request: AskRequest, _: Submitter) -> Asked:
        """Architectures to train.

        No two clients get the same one, nor twins. A client that has trials which it has not told gets those again,
        so that after a crash, or an answer that was lost, asking once more is always right.
        """
        trials, end = await desk.ask(study, request.client_id, request.count, wait)
        return Asked(trials=[show_trial(trial) for trial in trials], end=end)

    @router.post(
        "/{study}/tell",
        dependencies=NEEDS_JSON,
        responses=problems.declare(
            *problems.BODY, problems.NOT_FOUND, problems.UNSOLVABLE, problems.ARCHITECTURE, problems.CONFLICT
        ),
    )
    def tell(study: Id, request: TellRequest, _: Submitter) -> TrialView:
        """What came of an architecture, asked for or not; to tell the same again changes nothing."""
        what = request.architecture if request.trial is None else request.trial
        assert what is not None  # noqa: S101 - the request's own rule
        return show_trial(desk.tell(study, what, request.state, request.values))

    @router.get("/{study}/trials", responses=problems.declare(problems.NOT_FOUND, problems.INVALID, problems.TOKEN))
    def list_trials(
        study: Id,
        _: Reader,
        state: Annotated[State | None, Query(description="leave out trials of other states")] = None,
        page_size: PageSize = 50,
        page_token: PageToken = None,
    ) -> TrialList:
        """Trials in the order of their numbers."""
        page = store.trials(study, state, page_size, page_token)
        return TrialList(items=[show_trial(trial) for trial in page.items], next_page_token=page.next_token)

    @router.get("/{study}/best", responses=one)
    @router.get("/{study}/pareto", responses=one)
    def best(study: Id, _: Reader) -> Best:
        """The best trial; with several metrics all that no other beats, the Pareto set."""
        history, trials = desk.history(study)
        return Best(trials=[show_trial(trials[row]) for row in history.best])

    @router.get("/{study}/history", responses=one)
    def history(study: Id, _: Reader) -> StudyHistory:
        """The record as `crlso search` keeps it in a file, trials in the order in which they were told."""
        return StudyHistory.model_validate(desk.history(study)[0].document())

    return router
