"""Upload a complete folder to the Hugging Face Hub.

The client takes the access token from the environment (`HF_TOKEN`) or from its own login; it reaches no file
and no log. `HF_ENDPOINT` names another server than huggingface.co.
"""

from pathlib import Path

from dia.errors import UnavailableError, UserError, one_line

HTTP_LIBRARIES = ("httpx", "httpx2", "httpcore", "requests")


def upload(folder: Path, repo: str, kind: str, *, private: bool) -> str:
    """Upload a folder as one commit, and return the address of the repository, which is created if missing.

    Args:
        folder: The complete folder.
        repo: Name of the repository, ``owner/name``.
        kind: ``model`` or ``dataset``.
        private: Whether a repository that is created is private; an existing one keeps its visibility.

    Raises:
        UserError: When the Hub refuses the repository or the files; UnavailableError when it cannot be
            reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    client = HfApi()
    try:
        address = client.create_repo(repo, repo_type=kind, private=private, exist_ok=True)
        client.upload_folder(
            repo_id=repo, repo_type=kind, folder_path=folder, commit_message="Upload with dia-framework"
        )
    except LocalTokenNotFoundError as error:
        raise UserError(f"the Hub needs an access token to write {repo}; set HF_TOKEN") from error
    except HfHubHTTPError as error:
        raise UserError(
            f"the Hub refuses {repo} ({one_line(error)}); check the name and that HF_TOKEN may write it; the "
            f"complete folder is {folder}"
        ) from error
    except Exception as error:  # the client's HTTP library and its errors differ by version
        if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] not in HTTP_LIBRARIES:
            raise
        raise UnavailableError(
            f"the Hub cannot be reached ({one_line(error)}); the complete folder is {folder}: run the same "
            "command again"
        ) from error
    return str(address)
