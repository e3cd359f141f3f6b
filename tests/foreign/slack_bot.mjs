// A bot with Slack's own client for JavaScript: messages, a thread, files, and what can be read of them.

import assert from "node:assert/strict";
import { WebClient } from "@slack/web-api";

const [sandbox, samples] = process.argv.slice(2);
const channel = "C0NODE";
// A mistake is to be seen at once: the client tries again for half an hour if it may.
const retryConfig = { retries: 0 };
const client = new WebClient("xoxb-any-token", { slackApiUrl: `${sandbox}slack/api/`, retryConfig });

const who = await client.auth.test();
assert.ok(who.bot_id && who.response_metadata.scopes.includes("chat:write"), JSON.stringify(who));

const blocks = [{ type: "section", text: { type: "mrkdwn", text: "*We open* at seven." } }];
const metadata = { event_type: "opening", event_payload: { id: "7" } };
const sent = await client.chat.postMessage({ channel, text: "We open at seven.", blocks, metadata });
assert.equal(sent.message.subtype, undefined);
assert.equal(sent.message.blocks[0].text.text, "*We open* at seven.");
assert.equal(sent.message.user, who.user_id);

const reply = await client.chat.postMessage({ channel, text: "Until noon.", thread_ts: sent.ts });
const thread = await client.conversations.replies({ channel, ts: sent.ts });
assert.deepEqual(thread.messages.map((message) => message.ts), [sent.ts, reply.ts]);
assert.equal(thread.messages[0].reply_count, 1);

// The client sends the bytes of files in a form.
const files = await client.filesUploadV2({
  channel_id: channel,
  initial_comment: "Two files",
  file_uploads: [
    { file: `${samples}/1080x1080.jpg`, filename: "photo.jpg", title: "A photo" },
    { file: Buffer.from("One, two"), filename: "notes.txt", title: "Notes" },
  ],
});
const ids = files.files.flatMap((done) => done.files.map((file) => file.id));
assert.equal(ids.length, 2);
const info = await client.files.info({ file: ids[0] });
const shared = info.file.shares.public[channel][0].ts;

const { permalink } = await client.chat.getPermalink({ channel, message_ts: sent.ts });
const messages = [];
const pages = client.paginate("conversations.history", { channel, limit: 1, include_all_metadata: true });
for await (const page of pages) messages.push(...page.messages);
assert.deepEqual(messages.map((message) => message.ts), [shared, sent.ts]);
assert.deepEqual(messages[0].files.map((file) => file.id), ids);
assert.deepEqual(messages[1].metadata, metadata);

console.log(JSON.stringify({ ts: sent.ts, reply: reply.ts, shared, permalink }));
