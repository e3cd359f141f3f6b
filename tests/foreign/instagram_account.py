"""An Instagram account with Meta's own client for Python: a picture, a carousel, a reel, and the lists of them."""

import json
import sys

from facebook_business.adobjects.igmedia import IGMedia
from facebook_business.adobjects.iguser import IGUser
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

SANDBOX, _ = sys.argv[1:]
ACCOUNT = "17841400000000001"


def publish(api, account, params):
    """Publishes a container once it is ready."""
    container = account.create_media(params=params)["id"]
    status = api.call("GET", (container,), params={"fields": "status_code"}).json()
    assert status["status_code"] == "FINISHED", status
    return account.create_media_publish(params={"creation_id": container})["id"]


def carousel(api, account):
    parts = [{"image_url": f"{SANDBOX}samples/1080x1080.jpg"}, {"image_url": f"{SANDBOX}samples/1200x630.jpg"}]
    children = [account.create_media(params={**part, "is_carousel_item": True})["id"] for part in parts]
    return publish(api, account, {"media_type": "CAROUSEL", "children": children, "caption": "Two"})


def main():
    FacebookSession.GRAPH = f"{SANDBOX}instagram"
    api = FacebookAdsApi.init("1", "secret", "any-token", crash_log=False)
    account = IGUser(ACCOUNT)
    photo = publish(api, account, {"image_url": f"{SANDBOX}samples/1080x1080.jpg", "caption": "One", "alt_text": "A"})
    two = carousel(api, account)
    reel = publish(
        api, account, {"media_type": "REELS", "video_url": f"{SANDBOX}samples/reel-9s.mp4", "caption": "Moving"}
    )
    IGMedia(photo).create_comment(params={"message": "Until noon"})
    comments = [comment["text"] for comment in IGMedia(photo).get_comments(fields=["text"])]
    assert comments == ["Until noon"], comments
    shown = IGMedia(photo).api_get(fields=["permalink", "caption", "media_type", "timestamp"])
    assert shown["permalink"].startswith("https://www.instagram.com/p/"), shown

    media = list(account.get_media(fields=["id", "caption", "media_type"], params={"limit": 2}))
    assert [post["id"] for post in media] == [reel, two, photo], media
    quota = account.get_content_publishing_limit(fields=["quota_usage", "config"])[0]
    assert quota["quota_usage"] == 3, quota
    try:
        account.create_media(params={"image_url": f"{SANDBOX}samples/4000x100.jpg"})
    except FacebookRequestError as error:
        assert (error.api_error_code(), error.api_error_subcode()) == (36003, 2207009), error
    else:
        raise AssertionError("a picture of any shape was taken")
    print(json.dumps({"posts": [photo, two, reel]}))


main()
