"""A channel with Google's own client for Python: a video in chunks, and what belongs to it."""

import json
import os
import sys
import tempfile
from urllib.request import Request, urlopen

from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaFileUpload

SANDBOX, SAMPLES = sys.argv[1:]
CHANNEL = "UC_x5XG1OV2P6uZZ5FSM9Ttw"
CHUNK = 262_144


def connected():
    """The client, from the description of the API that comes with it. It fetches its first token by itself."""
    credentials = Credentials(
        None,
        refresh_token=f"refresh-{CHANNEL}",
        token_uri=f"{SANDBOX}youtube/token",
        client_id="id",
        client_secret="secret",
    )
    return build(
        "youtube",
        "v3",
        credentials=credentials,
        static_discovery=True,
        client_options={"api_endpoint": f"{SANDBOX}youtube/"},
    )


def here(request):
    """An upload, sent to the sandbox: of `api_endpoint` the client takes the host alone for those."""
    _, path = request.uri.split("/upload/", 1)
    request.uri = f"{SANDBOX}youtube/upload/{path}"
    return request


def film():
    """A sample that is padded to more than two chunks."""
    with open(f"{SAMPLES}/video-5s.mp4", "rb") as sample:
        video = sample.read()
    rest = 600_000 - len(video)
    video += rest.to_bytes(4, "big") + b"free" + bytes(rest - 8)
    with tempfile.NamedTemporaryFile(suffix=".mp4", delete=False) as file:
        file.write(video)
    return file.name


def arm(faults):
    """Sets what goes wrong in the sandbox."""
    headers = {"Content-Type": "application/json"}
    request = Request(f"{SANDBOX}api/faults", json.dumps(faults).encode(), headers)
    with urlopen(request) as answer:
        assert answer.status == 200, answer


def upload(youtube):
    """In three chunks, of which the second arrives and is answered by an error: the client asks how far it came."""
    body = {
        "snippet": {"title": "A tour", "description": "Of the shop", "tags": ["shop"], "categoryId": "22"},
        "status": {"privacyStatus": "unlisted", "selfDeclaredMadeForKids": False},
    }
    path = film()
    media = MediaFileUpload(path, mimetype="video/mp4", chunksize=CHUNK, resumable=True)
    request = here(youtube.videos().insert(part="snippet,status", body=body, media_body=media))
    arm(["youtube/upload:500-after-accept:50%"])
    steps, video = [], None
    while video is None:
        try:
            progress, video = request.next_chunk()
            steps.append(progress.resumable_progress if progress else "done")
        except HttpError as error:
            steps.append(error.status_code)
            arm([])
    os.remove(path)
    # The second was not sent again.
    assert steps == [CHUNK, 500, "done"], steps
    assert video["status"]["uploadStatus"] == "uploaded", video
    assert video["snippet"]["channelId"] == CHANNEL, video
    return video["id"]


def refused(request, status, reason):
    try:
        request.execute()
    except HttpError as error:
        assert error.status_code == status, error
        assert error.error_details[0]["reason"] == reason, error.error_details
    else:
        raise AssertionError(f"nothing was said of {reason}")


def check_lists(youtube, video):
    mine = youtube.channels().list(part="snippet,contentDetails", mine=True).execute()["items"][0]
    assert mine["id"] == CHANNEL, mine
    uploads = mine["contentDetails"]["relatedPlaylists"]["uploads"]
    items = youtube.playlistItems()
    request = items.list(part="snippet", playlistId=uploads, maxResults=1)
    found = []
    while request is not None:
        page = request.execute()
        found += page["items"]
        request = items.list_next(request, page)
    assert [item["snippet"]["resourceId"]["videoId"] for item in found] == [video], found
    assert found[0]["snippet"]["channelTitle"] == mine["snippet"]["title"], found
    refused(items.list(part="snippet", playlistId="PLnowhere"), 404, "playlistNotFound")
    listed = youtube.videos().list(part="status,processingDetails", id=video).execute()
    assert listed["items"][0]["status"]["uploadStatus"] == "processed", listed


def follow(youtube, video):
    """A thumbnail, a playlist and the first comment."""
    picture = MediaFileUpload(f"{SAMPLES}/1200x630.jpg", mimetype="image/jpeg")
    shown = here(youtube.thumbnails().set(videoId=video, media_body=picture)).execute()
    assert shown["items"][0]["default"]["url"], shown
    resource = {"kind": "youtube#video", "videoId": video}
    item = {"snippet": {"playlistId": "PLtours", "resourceId": resource}}
    youtube.playlistItems().insert(part="snippet", body=item).execute()
    said = {"snippet": {"textOriginal": "Welcome"}}
    thread = {"snippet": {"videoId": video, "topLevelComment": said}}
    made = youtube.commentThreads().insert(part="snippet", body=thread).execute()
    assert made["snippet"]["topLevelComment"]["snippet"]["textOriginal"] == "Welcome", made


def main():
    youtube = connected()
    video = upload(youtube)
    check_lists(youtube, video)
    follow(youtube, video)
    print(json.dumps({"video": video}))


main()
