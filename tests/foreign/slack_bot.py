"""A bot with Slack's own client for Python: messages, a thread, files, and what can be read of them."""

import json
import sys

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.models.blocks import DividerBlock, ImageBlock, SectionBlock
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.token_rotation import TokenRotator

SANDBOX, SAMPLES = sys.argv[1:]
CHANNEL = "C0PYTHON"


def post(client):
    """A message with blocks and metadata, as the client's own classes make them."""
    image = f"{SANDBOX}samples/800x800.png"
    blocks = [
        SectionBlock(text="*We open* at seven."),
        DividerBlock(),
        ImageBlock(image_url=image, alt_text="A square"),
    ]
    metadata = {"event_type": "opening", "event_payload": {"id": "7"}}
    sent = client.chat_postMessage(
        channel=CHANNEL, text="We open at seven.", blocks=blocks, metadata=metadata
    )
    message = sent["message"]
    assert message["type"] == "message" and "subtype" not in message, message
    assert message["bot_profile"]["app_id"] == message["app_id"], message
    assert [block["type"] for block in message["blocks"]] == ["section", "divider", "image"], message
    return sent["ts"]


def answer(client, ts):
    """A reply, and how the thread tells of it, from both of its ends."""
    reply = client.chat_postMessage(channel=CHANNEL, text="Until noon & <later>.", thread_ts=ts)
    assert reply["message"]["thread_ts"] == ts, reply.data
    assert reply["message"]["text"] == "Until noon &amp; &lt;later&gt;.", reply.data
    thread = client.conversations_replies(channel=CHANNEL, ts=ts)["messages"]
    assert [message["ts"] for message in thread] == [ts, reply["ts"]], thread
    assert (thread[0]["reply_count"], thread[0]["latest_reply"]) == (1, reply["ts"]), thread
    alone = client.conversations_replies(channel=CHANNEL, ts=reply["ts"])["messages"]
    assert [message["ts"] for message in alone] == [reply["ts"]], alone
    return reply["ts"]


def upload(client):
    """Two files in one message; the client sends their bytes bare."""
    files = [
        {"file": f"{SAMPLES}/1080x1080.jpg", "title": "A photo", "alt_txt": "A square"},
        {"content": "One, two", "filename": "notes.txt", "title": "Notes"},
    ]
    done = client.files_upload_v2(
        file_uploads=files, channel=CHANNEL, initial_comment="Two files"
    )
    ids = [file["id"] for file in done["files"]]
    info = client.files_info(file=ids[0])["file"]
    assert (info["title"], info["alt_txt"]) == ("A photo", "A square"), info
    return ids, info["shares"]["public"][CHANNEL][0]["ts"]


def rotated(base_url):
    """A token in place of one that has ended, as the client fetches it."""
    old = Installation(
        user_id="U1", bot_token="xoxe.xoxb-1-old", bot_refresh_token="xoxe-1-old", bot_token_expires_in=0
    )
    rotator = TokenRotator(client_id="1.2", client_secret="secret", client=WebClient(base_url=base_url))
    new = rotator.perform_token_rotation(installation=old)
    assert new.bot_token.startswith("xoxe.xoxb-"), new.bot_token
    assert new.bot_refresh_token.startswith("xoxe-1-"), new.bot_refresh_token
    return new.bot_token


def be_refused(client):
    """Refusals come with their codes, and end where the client can mend their cause."""
    try:
        client.chat_postMessage(channel="C0OUTSIDE", text="Hello")
    except SlackApiError as error:
        assert error.response["error"] == "not_in_channel", error
    else:
        raise AssertionError("a channel took a message from outside")
    client.conversations_join(channel="C0OUTSIDE")
    client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=2))
    for number in range(21):
        client.chat_postMessage(channel="C0OUTSIDE", text=f"Number {number}", username="Robin", icon_emoji=":bird:")


def main():
    base_url = f"{SANDBOX}slack/api/"
    client = WebClient(token=rotated(base_url), base_url=base_url)
    who = client.auth_test()
    assert who["bot_id"] and who["team_id"], who.data
    ts = post(client)
    reply = answer(client, ts)
    files, shared = upload(client)
    link = client.chat_getPermalink(channel=CHANNEL, message_ts=ts)["permalink"]
    messages = []
    for page in client.conversations_history(
        channel=CHANNEL, limit=1, include_all_metadata=True
    ):
        messages += page["messages"]
    assert [message["ts"] for message in messages] == [shared, ts], messages
    assert [file["id"] for file in messages[0]["files"]] == files, messages
    assert messages[1]["metadata"]["event_payload"] == {"id": "7"}, messages
    assert messages[1]["user"] == who["user_id"], messages
    be_refused(client)
    print(json.dumps({"ts": ts, "reply": reply, "shared": shared, "permalink": link}))


main()
