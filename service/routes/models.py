"""/v1/models/{name}: models are brought and taken away."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi import Path as InPath

from crlso.exceptions import BundleError
from crlso.latent.bundle import FILES
from service import problems
from service.folders import NAME
from service.registry import NotBundleError, Registry
from service.routes.catalogue import model_card
from service.routes.parameters import Admin
from service.schemas import ModelCard
from service.store.keys import KeyStore
from service.store.rows import ConflictError

Name = Annotated[str, InPath(pattern=NAME, description="of the model")]
_ZIP = "application/zip"


def make_router(registry: Registry, log: KeyStore, most_bytes: int) -> APIRouter:
    """Paths for administrators.

    Args:
        registry: of models.
        log: takes down what was brought and taken away.
        most_bytes: that a bundle's files may have together.
    """
    router = APIRouter(prefix="/v1/models", tags=["models"], responses=problems.declare(*problems.GUARDED))

    @router.put(
        "/{name}",
        status_code=201,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}},
            }
        },
        responses=problems.declare(
            problems.TOO_LARGE, problems.NOT_JSON, problems.INVALID, problems.NOT_BUNDLE, problems.CONFLICT
        ),
    )
    async def bring(
        name: Name,
        request: Request,
        caller: Admin,
        response: Response,
        replace: Annotated[bool, Query(description="take the place of a model of that name")] = False,
    ) -> ModelCard:
        """Serve a bundle, the files of a model's folder in a ZIP archive without folders.

        Its digest must fit; until it has been read as a whole nothing changes, and requests that use the old one end
        with it.
        """
        sent = request.headers.get("content-type", "")
        if sent.partition(";")[0].strip().lower() != _ZIP:
            raise HTTPException(415, f"Content-Type is {sent!r}; it must be {_ZIP!r}")
        if name in registry.names() and not replace:
            raise ConflictError(f"there is a model {name!r}: say replace=true to put this one in its place")
        with tempfile.TemporaryFile() as archive:
            async for piece in request.stream():
                archive.write(piece)
            await asyncio.to_thread(_install, archive, registry, name, most_bytes)
        await asyncio.to_thread(log.write_down, caller.id, "model.bring", name)
        response.headers["Location"] = f"/v1/models/{name}"
        return model_card(await asyncio.to_thread(registry.get, name))

    @router.delete("/{name}", status_code=204, responses=problems.declare(problems.UNKNOWN_NAME, problems.INVALID))
    def take_away(name: Name, caller: Admin) -> None:
        """Serve a model no longer, and delete its files."""
        registry.remove(name)
        log.write_down(caller.id, "model.take_away", name)

    return router


def _install(archive: IO[bytes], registry: Registry, name: str, most_bytes: int) -> None:
    """Unpack beside the models, and put in place what proves sound.

    Raises:
        NotBundleError: it does not.
    """
    registry.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=registry.directory) as work:
        folder = Path(work) / name
        try:
            _unpack(archive, folder, most_bytes)
            registry.install(folder)
        except BundleError as error:
            raise NotBundleError(str(error).replace(f"{work}/", "")) from error


def _unpack(archive: IO[bytes], folder: Path, most_bytes: int) -> None:
    try:
        with zipfile.ZipFile(archive) as found:
            members = found.infolist()
            if strangers := sorted({member.filename for member in members} - set(FILES)):
                raise BundleError(f"{strangers[0]!r} is no file of a bundle: there are {', '.join(FILES)}")
            if sum(member.file_size for member in members) > most_bytes:  # no more than that is read of any
                raise BundleError(f"the files are larger than {most_bytes} bytes together")
            folder.mkdir()
            for member in members:
                with found.open(member) as source, (folder / member.filename).open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise BundleError(f"not a ZIP archive that can be read: {error}") from error
