"""A Page with Meta's own client for Python: posts, photos, a video, a reel, and the lists that show them."""

import json
import os
import sys

from facebook_business.adobjects.page import Page
from facebook_business.adobjects.pagepost import PagePost
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

SANDBOX, SAMPLES = sys.argv[1:]
PAGE = "1000001"


def connect():
    """The client has no option for its host. It signs every request, for it knows the app's secret."""
    FacebookSession.GRAPH = f"{SANDBOX}facebook"
    return FacebookAdsApi.init("1", "secret", "any-token", crash_log=False)


def photos(page):
    """One from an address, one from a file, and two in a post."""
    url = f"{SANDBOX}samples/1080x1080.jpg"
    one = page.create_photo(params={"url": url, "caption": "By address", "published": True})
    file = page.create_photo(params={"caption": "By file"}, pending=True)
    two = file.add_file(f"{SAMPLES}/800x800.png").execute()
    parts = [page.create_photo(params={"url": url, "published": False}) for _ in range(2)]
    media = [{"media_fbid": part["id"]} for part in parts]
    album = page.create_feed(params={"message": "An album", "attached_media": media})
    return [one["post_id"], two["post_id"], album["id"]]


def reel(api, page):
    """The client knows the edge, and not the host that takes the bytes."""
    started = page.create_video_reel(params={"upload_phase": "start"})
    video = started["video_id"]
    path = f"{SAMPLES}/reel-9s.mp4"
    headers = {"Authorization": "OAuth any-token", "offset": "0", "file_size": str(os.path.getsize(path))}
    # Bytes go elsewhere, and the client sends none but in forms: its connection is used as it is.
    with open(path, "rb") as bytes_:
        sent = api._session.requests.post(started["upload_url"], data=bytes_, headers=headers, params={})
    assert sent.json() == {"success": True}, sent.text
    finish = {"upload_phase": "finish", "video_id": video, "video_state": "PUBLISHED", "description": "A reel"}
    page.create_video_reel(params=finish)
    status = api.call("GET", (video,), params={"fields": "status"}).json()["status"]
    assert status["uploading_phase"]["bytes_transferred"] == os.path.getsize(path), status
    assert status["publishing_phase"]["publish_status"] == "published", status
    assert [found["id"] for found in page.get_video_reels()] == [video]
    return video


def main():
    api = connect()
    page = Page(PAGE)
    assert page.api_get(fields=["name"])["name"]
    text = page.create_feed(fields=["permalink_url"], params={"message": "We open at seven."})
    assert text["permalink_url"].startswith("https://"), text
    link = page.create_feed(params={"message": "Read", "link": "https://example.com/"})
    posts = [text["id"], link["id"], *photos(page)]
    clip = page.create_video(params={"file_url": f"{SANDBOX}samples/video-5s.mp4", "description": "A film"})
    film = reel(api, page)
    PagePost(posts[0]).create_comment(params={"message": "Until noon"})
    comments = [comment["message"] for comment in PagePost(posts[0]).get_comments(fields=["message"])]
    assert comments == ["Until noon"], comments

    fields = ["id", "message", "permalink_url", "attachments"]
    listed = list(page.get_published_posts(fields=fields, params={"limit": 2}))
    assert [post["id"] for post in listed] == [clip["id"], *reversed(posts)], listed
    try:
        page.create_feed(params={"message": ""})
    except FacebookRequestError as error:
        assert error.api_error_code() == 100, error
    else:
        raise AssertionError("a post without anything in it was taken")
    print(json.dumps({"posts": posts, "video": clip["id"], "reel": film}))


main()
