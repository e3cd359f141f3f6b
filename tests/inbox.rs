//! The sandbox's inbox page in a real browser, over posts that came in through the platforms' own endpoints.

mod support;

use serde_json::{Value, json};
use support::inbox::{Story, listed, publish, serve};

#[tokio::test]
async fn a_post_arrives_without_a_reload_and_leaves_the_others_alone() {
    let mut story = Story::new().await;
    let command = format!("publisher run --sandbox {}", story.url);
    story.says("#empty", &command).await;

    story.facebook("1001", "We open at seven.").await;
    story.shows(&["We open at seven."]).await;
    story
        .eval("window.first = document.querySelector('#feed .card'); null")
        .await;
    story.slack("C0000001", "Deploy finished.").await;
    story
        .shows(&["Deploy finished.", "We open at seven."])
        .await;

    let same = "window.first === document.querySelector('#feed li:last-child .card')";
    assert_eq!(story.eval(same).await, true);
    assert_eq!(story.eval("document.title").await, "(2) Sandbox inbox");
    assert_eq!(
        story.eval("document.querySelector('#empty').hidden").await,
        true
    );
    story.close().await;
}

#[tokio::test]
async fn filters_narrow_the_list_and_survive_a_reload() {
    let mut story = Story::new().await;
    story.facebook("1001", "Sourdough on Saturday").await;
    story.facebook("1002", "Rye on Sunday").await;
    story
        .slack("C0000001", "The sourdough starter is fed")
        .await;
    let all = [
        "The sourdough starter is fed",
        "Rye on Sunday",
        "Sourdough on Saturday",
    ];
    story.shows(&all).await;

    story.click("[data-key='at facebook'] button").await;
    story.shows(&all[1..]).await;
    let choose = "(() => {
        const select = document.querySelector('#account');
        select.value = 'facebook/1002';
        select.dispatchEvent(new Event('change', { bubbles: true }));
    })()";
    story.eval(choose).await;
    story.shows(&all[1..2]).await;
    story.reload().await;
    story.shows(&all[1..2]).await;
    story.says("#tally", "1 of 3 posts").await;

    story.click("#clear").await;
    story.shows(&all).await;
    story.click("#query").await;
    story.types("SOURdough").await;
    story.shows(&[all[0], all[2]]).await;
    story.reload().await;
    story.shows(&[all[0], all[2]]).await;
    story.click("#query").await;
    story.types(" with raisins").await;
    story.says("#empty", "No post matches").await;
    story.close().await;
}

#[tokio::test]
async fn a_post_opens_to_all_of_it_and_escape_closes_it() {
    let long = format!("{}And the last word.", "A long story. ".repeat(100));
    let mut story = Story::new().await;
    story.facebook("1001", &long).await;
    story.shows(&[&long]).await;
    let opened = "document.querySelector('#reader').open
        && document.querySelector('#whole .text').innerText.endsWith('And the last word.')";
    let closed = "!document.querySelector('#reader').open";

    story.click("#feed .card .head").await;
    story.until(opened).await;
    let raw = story
        .eval("document.querySelector('#whole .raw').textContent")
        .await;
    let raw: Value = serde_json::from_str(raw.as_str().unwrap()).unwrap();
    assert_eq!(raw, story.posts().await[0]);
    // The address alone leads there.
    story.reload().await;
    story.until(opened).await;
    story.escape().await;
    story.until(closed).await;
    story.until("location.hash === ''").await;

    // And the same by keyboard alone; the focus comes back to where it was.
    story
        .eval("document.querySelector('#feed .open').focus()")
        .await;
    story.enter().await;
    story.until(opened).await;
    story.escape().await;
    story.until(closed).await;
    let focused = "document.activeElement === document.querySelector('#feed .open')";
    assert_eq!(story.eval(focused).await, true);
    story.close().await;
}

#[tokio::test]
async fn a_duplicate_is_marked_with_what_it_repeats() {
    let mut story = Story::new().await;
    for text in ["Twice", "Once", "Twice"] {
        story.facebook("1001", text).await;
    }
    story.shows(&["Twice", "Once", "Twice"]).await;
    let marks = "[...document.querySelectorAll('#feed li')].map((item) =>
        item.querySelector('.ribbon, .foot .bad')?.textContent ?? '')";
    assert_eq!(
        story.eval(marks).await,
        json!(["Duplicate of #1", "", "Repeated by #3"])
    );
    let red = "(() => {
        const rgb = getComputedStyle(document.querySelector('.card.duplicate')).borderTopColor.match(/\\d+/g);
        return rgb[0] > 150 && rgb[1] < 60 && rgb[2] < 60;
    })()";
    assert_eq!(story.eval(red).await, true);

    story.click("[data-key=twice] button").await;
    story.shows(&["Twice"]).await;
    // The mark leads to the original.
    story.click("#feed .ribbon a").await;
    story.says("#reader-title", "#1 on Facebook").await;
    story.close().await;
}

#[tokio::test]
async fn images_are_shown_and_described_or_named_where_they_are_gone() {
    let mut story = Story::new().await;
    let image = format!("{}samples/1080x1080.jpg", story.url);
    let form = [("image_url", image.as_str()), ("caption", "Golden hour")];
    let container = story.request("instagram/v25.0/2001/media").form(&form);
    let container: Value = container.send().await.unwrap().json().await.unwrap();
    let form = [("creation_id", container["id"].as_str().unwrap())];
    let publishing = story.request("instagram/v25.0/2001/media_publish");
    publish(publishing.form(&form)).await;
    let kept = story.posts().await[0]["media"][0]["preview"].clone();
    assert!(kept.is_string());
    let loaded = "[...document.querySelectorAll('#feed img')].filter((image) => image.naturalWidth)
        .map((image) => `${image.getAttribute('src')} ${image.loading} ${image.alt}`)";
    let shown = format!(
        "{} lazy Image without a description",
        kept.as_str().unwrap()
    );
    story.until(&format!("{loaded}.join() === '{shown}'")).await;
    // As if it was no longer kept when it was asked for.
    let gone = "(() => {
        const image = document.querySelector('#feed img');
        image.alt = 'gone';
        image.src = '/api/media/gone';
    })()";
    story.eval(gone).await;
    story.says("#feed .file", "Image · ").await;
    let complaints = story.tab.complaints().await;
    assert!(
        matches!(complaints.as_slice(), [one] if one.contains("404") && one.contains("/api/media/gone")),
        "{complaints:?}"
    );
    story.close().await;
}

#[tokio::test]
async fn reset_asks_first_and_empties() {
    let mut story = Story::new().await;
    story.facebook("1001", "Soon gone").await;
    story.shows(&["Soon gone"]).await;

    story.click("#reset").await;
    story.opens("#sure").await;
    story.click("#sure button[value='']").await;
    story.closes("#sure").await;
    assert_eq!(story.posts().await.len(), 1);

    story.click("#reset").await;
    story.opens("#sure").await;
    story.click("#sure button[value=reset]").await;
    story.says("#empty", "Nothing was published yet").await;
    assert_eq!(story.posts().await.len(), 0);
    story.close().await;
}

#[tokio::test]
async fn hostile_text_stays_text() {
    let texts = [
        "<img src=x onerror=\"window.ran = 1\">",
        "\"><script>window.ran = 2</script>",
        "'-(window.ran = 3)-' ${window.ran = 4} javascript:window.ran=5 https://a.example/\"onmouseover=window.ran=6",
        "\u{202e}drawkcab\u{2066} \u{0} \u{200b}hidden </textarea></style></title><!--",
    ];
    let fragment = "#query=%3Cimg%20src%3Dx%20onerror%3D%22window.ran%3D7%22%3E&platform=__proto__&account=%3Cb%3E&post=%22%3E%3Cscript%3E";
    let mut story = Story::at(fragment).await;
    story.says("#reader-title", "This post is not here").await;
    story.escape().await;
    story.closes("#reader").await;
    story.click("#clear").await;

    for text in texts {
        story.slack("C0000001", text).await;
    }
    let commentary = json!({
        "author": "urn:li:organization:2001", "commentary": "An article", "visibility": "PUBLIC",
        "distribution": {"feedDistribution": "MAIN_FEED"}, "lifecycleState": "PUBLISHED",
        "content": {"article": {"source": "https://b.example/?<svg onload=window.ran=8>", "title": texts[0]}},
    });
    story.linkedin(&commentary).await;
    let newest_first = ["An article", texts[3], texts[2], texts[1], texts[0]];
    story.shows(&newest_first).await;

    for n in 1..=newest_first.len() {
        story.click(&format!("#feed li:nth-child({n}) .open")).await;
        story.opens("#reader").await;
        story.click("#whole summary").await;
        let raw = "document.querySelector('#whole .raw').textContent";
        // Marks that hide or turn text are spelled out.
        let plain = format!("!/[\\u200b\\u202e\\u2066]/.test({raw})");
        assert_eq!(story.eval(&plain).await, true);
        story.escape().await;
        story.closes("#reader").await;
    }
    let made = "document.querySelectorAll('main img, main script, main style, main svg, main textarea').length";
    assert_eq!(story.eval(made).await, 0);
    assert_eq!(story.eval("typeof window.ran").await, "undefined");
    let links = "[...document.querySelectorAll('main a')].every((link) =>
        link.dataset.post || (/^https?:$/.test(link.protocol) && link.rel === 'noopener noreferrer'))";
    assert_eq!(story.eval(links).await, true);
    story.close().await;
}

#[tokio::test]
async fn a_page_whose_sandbox_ended_says_so_and_comes_back() {
    let mut story = Story::new().await;
    story.facebook("1001", "The first life").await;
    story.shows(&["The first life"]).await;
    let url = url::Url::parse(&story.url).unwrap();
    let addr = url.socket_addrs(|| None).unwrap()[0];

    story.end.send(()).unwrap();
    story.server.await.unwrap();
    let lost =
        "document.querySelector('#status.lost') && document.querySelector('#lost').innerText";
    story
        .tab
        .until(&format!("{lost}.includes('does not answer')"))
        .await;
    // What was there can still be read.
    story.tab.until(&listed(&["The first life"])).await;

    (story.url, story.end, story.server) = serve(addr).await;
    story
        .until("document.querySelector('#status.live') && document.querySelector('#lost').hidden")
        .await;
    story.shows(&[]).await;
    story.facebook("1001", "The second life").await;
    story.shows(&["The second life"]).await;

    // The browser itself notes each request in between, and nothing else was wrong.
    let mut complaints = story.tab.complaints().await;
    complaints.retain(|complaint| !complaint.contains("net::ERR_"));
    assert_eq!(complaints, [""; 0]);
    story.close().await;
}

#[tokio::test]
async fn a_phone_has_nothing_beyond_its_edge() {
    let word = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
        .repeat(4);
    let mut story = Story::new().await;
    story.tab.size(375, 700).await;
    story.reload().await;
    let fits = "document.documentElement.scrollWidth <= innerWidth
        && [...document.querySelectorAll('dialog')].every((dialog) => dialog.scrollWidth <= innerWidth)";
    story.says("#empty", "Nothing").await;
    assert_eq!(story.eval(fits).await, true);

    for text in [word.as_str(), "Short", word.as_str()] {
        story.facebook("1001", text).await;
        story.slack("C0000001", text).await;
    }
    let link = format!("https://{}.example/{word}", &word[..40]);
    let form = [("message", ""), ("link", link.as_str())];
    publish(story.request("facebook/v25.0/1001/feed").form(&form)).await;
    story
        .until("document.querySelectorAll('#feed .card').length === 7")
        .await;
    assert_eq!(story.eval(fits).await, true);
    story.click("#feed .open").await;
    story.opens("#reader").await;
    story.click("#whole summary").await;
    assert_eq!(story.eval(fits).await, true);
    story.close().await;
}

#[tokio::test]
async fn faults_are_set_shown_and_taken_back() {
    let mut story = Story::new().await;
    let shown =
        "[...document.querySelectorAll('#faults code')].map((code) => code.textContent).join()";
    story.click("#fault").await;
    story.types("slack:rejected").await;
    story.enter().await;
    story.until(&format!("{shown} === 'slack:rejected'")).await;
    let refused = story.request("slack/api/chat.postMessage");
    let form = [("channel", "C0000001"), ("text", "no")];
    let refused = refused.form(&form).send().await.unwrap();
    assert!(refused.text().await.unwrap().contains("\"ok\":false"));

    story.types("myspace:500").await;
    story.click("#add-fault button").await;
    story
        .says("#fault-problem", "there is no platform \"myspace\"")
        .await;
    assert_eq!(story.eval(shown).await, "slack:rejected");
    // The browser notes the refusal.
    let complaints = story.tab.complaints().await;
    assert!(
        matches!(complaints.as_slice(), [one] if one.contains("400") && one.contains("/api/faults")),
        "{complaints:?}"
    );

    story.click("#faults button").await;
    story.until(&format!("{shown} === ''")).await;
    story.slack("C0000001", "yes").await;
    story.shows(&["yes"]).await;
    story.close().await;
}

#[tokio::test]
async fn of_many_posts_the_newest_are_shown_and_more_on_request() {
    let mut story = Story::new().await;
    for n in 1..=205 {
        // A channel takes only so many at once.
        let channel = format!("C000000{}", n % 50);
        story.slack(&channel, &format!("post {n}")).await;
    }
    let cards = "document.querySelectorAll('#feed .card').length";
    let newest = "document.querySelector('#feed .text').textContent === 'post 205'";
    story.until(&format!("{cards} === 200 && {newest}")).await;
    story
        .says("#tally", "205 posts, the newest 200 shown")
        .await;
    // Who reads further down is not disturbed by what arrives above.
    story.click("#more").await;
    story.until(&format!("{cards} === 205")).await;
    story.slack("C0000001", "post 206").await;
    story.says("#newer", "↑ 1 new post").await;
    assert_eq!(story.eval(newest).await, true);
    story.click("#newer").await;
    story.until(&format!("{cards} === 206")).await;
    story.close().await;
}

#[tokio::test]
async fn every_control_has_a_name() {
    let mut story = Story::new().await;
    story.facebook("1001", "Read me").await;
    story.click("#add-fault input").await;
    story.types("slack:401").await;
    story.enter().await;
    story
        .until("document.querySelector('#faults button') && document.querySelector('#feed .open')")
        .await;
    let controls = story.tab.controls().await;
    assert!(controls.len() > 10, "{controls:?}");
    for (role, name) in controls {
        assert!(!name.trim().is_empty(), "a {role} without a name");
    }
    story.close().await;
}

/// Else the stories above would prove nothing.
#[tokio::test]
async fn the_browser_tells_of_errors() {
    let mut story = Story::new().await;
    for wrong in [
        "console.error('wrong')",
        "setTimeout(() => { throw new Error('wrong') })",
        "document.body.append(Object.assign(document.createElement('script'), { src: 'https://wrong.example/' }))",
        "fetch('/nothing/wrong')",
    ] {
        story.eval(&format!("{wrong}; null")).await;
        let complaints = story.tab.until_complaint().await;
        assert!(complaints.contains("wrong"), "{wrong}: {complaints}");
    }
    story.close().await;
}
