//! The files of `examples/kubernetes`: what they name exists, in Kubernetes' own kinds and in the binary.
//!
//! No cluster is asked. The kinds' fields are those of `batch/v1`, and of KEDA's `ScaledJob` in `keda.sh/v1alpha1`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use publisher::exit::Exit;
use serde_json::{Value, json};
use support::world::{Ended, World, bare_publisher, post};

const DOCKERFILE: &str = include_str!("../examples/kubernetes/Dockerfile");

/// Each file, its kind, and where in it the job is.
const FILES: [(&str, &str, &str, &str); 3] = [
    (
        "cronjob.yaml",
        "batch/v1",
        "CronJob",
        "/spec/jobTemplate/spec",
    ),
    ("job.yaml", "batch/v1", "Job", "/spec"),
    (
        "scaledjob.yaml",
        "keda.sh/v1alpha1",
        "ScaledJob",
        "/spec/jobTargetRef",
    ),
];

fn directory() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/kubernetes")
}

fn file(name: &str) -> Value {
    let text = std::fs::read_to_string(directory().join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// Every job of the files, with the file's name.
fn jobs() -> Vec<(&'static str, Value)> {
    FILES
        .iter()
        .map(|(name, _, _, place)| (*name, file(name).pointer(place).unwrap().clone()))
        .collect()
}

fn at<'a>(value: &'a Value, place: &str) -> &'a Value {
    value
        .pointer(place)
        .unwrap_or_else(|| panic!("no {place} in {value:#}"))
}

fn container(job: &Value) -> &Value {
    let containers = at(job, "/template/spec/containers");
    assert_eq!(containers.as_array().unwrap().len(), 1);
    &containers[0]
}

fn args(job: &Value) -> Vec<String> {
    let args = at(container(job), "/args").as_array().unwrap();
    args.iter()
        .map(|arg| arg.as_str().unwrap().to_owned())
        .collect()
}

fn help() -> String {
    let output = bare_publisher(&["run", "--help"]).output().unwrap();
    Ended::from(output).exits(0).stdout
}

/// An object has these fields, and no others than those and the further ones.
fn fields(value: &Value, place: &str, needed: &[&str], further: &[&str]) {
    let found: BTreeSet<&str> = at(value, place)
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    for name in needed {
        assert!(found.contains(name), "{place} has no {name}");
    }
    for name in found {
        assert!(
            needed.contains(&name) || further.contains(&name),
            "{place}: is `{name}` a field?"
        );
    }
}

#[test]
fn every_file_is_of_its_kind() {
    let there = std::fs::read_dir(directory()).unwrap();
    let names = there.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<String> = names
        .filter(|name| !name.starts_with("Dockerfile"))
        .collect();
    assert_eq!(
        there,
        FILES.iter().map(|(name, ..)| (*name).to_owned()).collect()
    );
    for (name, version, kind, _) in FILES {
        let file = file(name);
        assert_eq!(
            (&file["apiVersion"], &file["kind"]),
            (&json!(version), &json!(kind)),
            "{name}"
        );
        fields(&file, "", &["apiVersion", "kind", "metadata", "spec"], &[]);
        let metadata = at(&file, "/metadata");
        assert!(
            metadata["name"].is_string() || metadata["generateName"].is_string(),
            "{name}"
        );
    }
    let cron = file("cronjob.yaml");
    fields(
        &cron,
        "/spec",
        &["schedule", "jobTemplate"],
        &[
            "concurrencyPolicy",
            "startingDeadlineSeconds",
            "successfulJobsHistoryLimit",
            "failedJobsHistoryLimit",
            "suspend",
            "timeZone",
        ],
    );
    assert_eq!(
        (
            &cron["spec"]["schedule"],
            &cron["spec"]["concurrencyPolicy"]
        ),
        (&json!("* * * * *"), &json!("Forbid"))
    );
    assert!(file("job.yaml")["spec"]["parallelism"].as_u64().unwrap() > 1);
    fields(
        &file("scaledjob.yaml"),
        "/spec",
        &["jobTargetRef", "triggers"],
        &[
            "pollingInterval",
            "maxReplicaCount",
            "minReplicaCount",
            "successfulJobsHistoryLimit",
            "failedJobsHistoryLimit",
            "scalingStrategy",
        ],
    );
}

#[test]
fn every_job_ends_and_is_not_repeated_blindly() {
    for (name, job) in jobs() {
        fields(
            &job,
            "",
            &[
                "template",
                "backoffLimit",
                "activeDeadlineSeconds",
                "podFailurePolicy",
            ],
            &["parallelism", "completions", "ttlSecondsAfterFinished"],
        );
        let pod = at(&job, "/template/spec");
        fields(
            pod,
            "",
            &[
                "containers",
                "restartPolicy",
                "terminationGracePeriodSeconds",
                "securityContext",
                "volumes",
            ],
            &["automountServiceAccountToken"],
        );
        // podFailurePolicy is taken with no other.
        assert_eq!(pod["restartPolicy"], "Never", "{name}");
        assert!(
            job["parallelism"].as_u64().unwrap_or(1) > 1 || job["backoffLimit"] == 0,
            "{name}"
        );
        // The time budget, the longest upload, and the recording that is tried for a minute.
        assert!(
            job["activeDeadlineSeconds"].as_u64().unwrap() >= (5 + 10 + 1) * 60,
            "{name}"
        );
        // A request, the recording, and the try that is under way at its end.
        assert!(
            pod["terminationGracePeriodSeconds"].as_u64().unwrap() >= 60 + 60 + 40,
            "{name}"
        );
    }
}

#[test]
fn every_exit_code_is_one_of_the_programs() {
    let recorded = Exit::Attention as u64;
    let codes = [
        Exit::Usage,
        Exit::Bug,
        Exit::Unrecorded,
        Exit::Unavailable,
        Exit::Configuration,
    ];
    let codes: BTreeSet<u64> = codes
        .iter()
        .map(|exit| *exit as u64)
        .chain([recorded])
        .collect();
    for (name, job) in jobs() {
        let mut actions = BTreeMap::new();
        for rule in at(&job, "/podFailurePolicy/rules").as_array().unwrap() {
            let Some(exit) = rule.get("onExitCodes") else {
                assert_eq!(
                    rule,
                    &json!({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]})
                );
                continue;
            };
            fields(exit, "", &["containerName", "operator", "values"], &[]);
            assert_eq!(
                (&exit["containerName"], &exit["operator"]),
                (&container(&job)["name"], &json!("In"))
            );
            for value in exit["values"].as_array().unwrap() {
                let value = value.as_u64().unwrap();
                assert!(codes.contains(&value), "{name}: {value}");
                assert!(
                    actions.insert(value, rule["action"].clone()).is_none(),
                    "{name}: {value} twice"
                );
            }
        }
        // "Run again" is what the table says of 75 alone, and what a person is needed for is never tried away.
        let ignored: Vec<&u64> = actions
            .iter()
            .filter(|(_, action)| *action == "Ignore")
            .map(|(code, _)| code)
            .collect();
        assert_eq!(ignored, [&(Exit::Unavailable as u64)], "{name}");
        assert_eq!(actions[&(Exit::Configuration as u64)], "FailJob", "{name}");
        let hides_failures = args(&job).contains(&"--fail-on=none".to_owned());
        assert!(
            hides_failures || actions.get(&recorded) == Some(&json!("FailJob")),
            "{name}"
        );
    }
}

#[test]
fn every_flag_and_variable_exists() {
    let help = help();
    let world = World::sqlite();
    for (name, job) in jobs() {
        let args = args(&job);
        assert_eq!(args[0], "run");
        for arg in args.iter().filter(|arg| arg.starts_with("--")) {
            let flag = arg.split('=').next().unwrap();
            assert!(
                help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")),
                "{name}: {flag}"
            );
        }
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        Ended::from(world.publisher(&words).output().unwrap()).exits(0);
        for variable in container(&job)["env"].as_array().unwrap() {
            let variable = variable["name"].as_str().unwrap();
            assert!(
                help.contains(&format!("[env: {variable}")),
                "{name}: {variable}"
            );
        }
        let text = std::fs::read_to_string(directory().join(name)).unwrap();
        assert!(
            text.contains("name: publisher # DATABASE_URL, ENCRYPTION_KEY\n"),
            "{name}"
        );
    }
}

/// The pod may write where the binary does, and nowhere else, as the image's user.
#[test]
fn every_pod_writes_in_its_state_directory_alone() {
    let user: u64 = line("USER ").split(':').next().unwrap().parse().unwrap();
    for (name, job) in jobs() {
        let pod = at(&job, "/template/spec");
        let context = &pod["securityContext"];
        assert_eq!(context["runAsNonRoot"], true, "{name}");
        assert_eq!(
            (&context["runAsUser"], &context["fsGroup"]),
            (&json!(user), &json!(user)),
            "{name}"
        );
        let container = container(&job);
        fields(
            container,
            "",
            &[
                "name",
                "image",
                "args",
                "envFrom",
                "env",
                "volumeMounts",
                "securityContext",
                "resources",
            ],
            &[],
        );
        let context = &container["securityContext"];
        assert_eq!(
            (
                &context["readOnlyRootFilesystem"],
                &context["allowPrivilegeEscalation"]
            ),
            (&json!(true), &json!(false)),
            "{name}"
        );
        assert!(
            container["resources"]["limits"]["memory"].is_string(),
            "{name}"
        );
        let mount = &container["volumeMounts"][0];
        assert_eq!(container["env"][0]["name"], "PUBLISHER_STATE_DIR");
        assert_eq!(container["env"][0]["value"], mount["mountPath"], "{name}");
        assert_eq!(
            line("ENV PUBLISHER_STATE_DIR="),
            mount["mountPath"].as_str().unwrap(),
            "{name}"
        );
        assert_eq!(pod["volumes"][0]["name"], mount["name"], "{name}");
        assert!(pod["volumes"][0]["emptyDir"].is_object(), "{name}");
    }
}

/// What all processes may have in flight at once is no more than one alone may.
#[test]
fn the_caps_are_divided() {
    let help = help().split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, caps) = help
        .split_once("may be repeated [default: facebook")
        .unwrap();
    let caps = format!("facebook{}", caps.split(']').next().unwrap());
    let caps: BTreeMap<&str, u64> = caps
        .split(", ")
        .map(|cap| cap.split_once(' ').unwrap())
        .map(|(platform, cap)| (platform, cap.parse().unwrap()))
        .collect();
    let scaled = file("scaledjob.yaml");
    let at_once = [
        (
            file("job.yaml")["spec"].clone(),
            file("job.yaml")["spec"]["parallelism"].clone(),
        ),
        (
            scaled["spec"]["jobTargetRef"].clone(),
            scaled["spec"]["maxReplicaCount"].clone(),
        ),
    ];
    for (job, processes) in at_once {
        let mut divided = BTreeSet::new();
        for arg in args(&job) {
            if let Some(cap) = arg.strip_prefix("--cap=") {
                let (platform, cap) = cap.split_once('=').unwrap();
                let all = processes.as_u64().unwrap() * cap.parse::<u64>().unwrap();
                assert!(all <= caps[platform], "{platform}: {all} at once");
                divided.insert(platform.to_owned());
            }
        }
        assert_eq!(divided.len(), caps.len(), "{divided:?}");
    }
}

/// KEDA's number is what waits, whether it asks as the run's own role or as one that may do nothing else.
#[test]
fn the_scaler_counts_what_waits() {
    let scaled = file("scaledjob.yaml");
    let strategy = at(&scaled, "/spec/scalingStrategy");
    assert_eq!(strategy["strategy"], "accurate");
    assert!(
        !strategy["pendingPodConditions"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let triggers = at(&scaled, "/spec/triggers").as_array().unwrap();
    assert_eq!(
        (triggers.len(), &triggers[0]["type"]),
        (1, &json!("postgresql"))
    );
    let metadata = &triggers[0]["metadata"];
    fields(
        metadata,
        "",
        &["connectionFromEnv", "query", "targetQueryValue"],
        &["activationTargetQueryValue"],
    );
    assert_eq!(metadata["connectionFromEnv"], "DATABASE_URL");
    // KEDA takes text alone in a trigger's metadata.
    let target = metadata["targetQueryValue"].as_str().unwrap();
    let job = &jobs()[2].1;
    assert!(
        args(job).contains(&format!("--limit={target}")),
        "a job takes as many as it is started for"
    );

    let world = World::postgres();
    let account = world.account("slack", 1, "alder");
    let query = metadata["query"].as_str().unwrap();
    let number = |world: &World| world.value(&format!("SELECT ({query})::text"));
    assert_eq!(number(&world), "0");
    world.due((0..7).map(|n| post(account, &format!("post {n}"))));
    world.due([post(account, "later").with("scheduled_at", "2030-01-01T00:00:00Z")]);
    assert_eq!(number(&world), "7");

    let readme = include_str!("../README.md");
    let blocks = readme
        .split("```sql\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let grants = blocks
        .filter(|block| block.contains(" TO monitor;"))
        .collect::<String>();
    let role = format!("monitor_{}", std::process::id());
    let grants = grants.replace(" monitor;", &format!(" {role};"));
    world.execute(&format!(
        "CREATE ROLE {role}; {grants}; SET ROLE {role}; {query}"
    ));
    let error = world
        .try_execute(&format!(
            "SET ROLE {role}; SELECT body FROM publisher.posts"
        ))
        .unwrap_err();
    assert!(error.contains("permission denied"), "{error}");

    world.run(&["--limit", "5"]).exits(0);
    assert_eq!(number(&world), "2");
    world.run(&[]).exits(0);
    assert_eq!(number(&world), "0");
}

/// The rest of the Dockerfile's line that begins so; there is one.
fn line(beginning: &str) -> &'static str {
    let lines: Vec<&str> = DOCKERFILE
        .lines()
        .filter_map(|line| line.strip_prefix(beginning))
        .collect();
    assert_eq!(lines.len(), 1, "{beginning}");
    lines[0]
}

/// What the image's base has, of what a program can be linked to (Debian's libc6 and libgcc-s1).
const IN_THE_BASE: [&str; 4] = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-"];

#[test]
fn the_image_has_what_the_binary_is_linked_to() {
    let stages: Vec<&str> = DOCKERFILE
        .lines()
        .filter_map(|line| line.strip_prefix("FROM "))
        .collect();
    let [build, base] = stages[..] else {
        panic!("two stages: {stages:?}")
    };
    // The glibc that it is built with is not newer than the one that it meets: trixie is Debian 13.
    assert!(build.ends_with("-slim-trixie AS build"), "{build}");
    assert_eq!(base, "gcr.io/distroless/cc-debian13:nonroot");
    let rust = build
        .strip_prefix("rust:")
        .unwrap()
        .split('-')
        .next()
        .unwrap();
    assert!(
        include_str!("../Cargo.toml").contains(&format!("rust-version = \"{rust}\"")),
        "{rust}"
    );

    // Who can build it has a linker, and with it this.
    let output = Command::new("readelf")
        .args(["-d", env!("CARGO_BIN_EXE_publisher")])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let needed = text.lines().filter(|line| line.contains("(NEEDED)"));
    let needed: Vec<&str> = needed
        .map(|line| line.split(['[', ']']).nth(1).unwrap())
        .collect();
    assert!(needed.contains(&"libc.so.6"), "{text}");
    for library in needed {
        assert!(
            IN_THE_BASE.iter().any(|name| library.starts_with(name)),
            "{library} is not in {base}"
        );
    }
}

#[test]
fn the_image_starts_the_binary() {
    let copied = DOCKERFILE
        .lines()
        .find(|line| line.starts_with("COPY --from=build"))
        .unwrap();
    let path = copied.split(' ').next_back().unwrap();
    assert_eq!(line("ENTRYPOINT "), format!("[\"{path}\"]"));
    assert_eq!(line("CMD "), "[\"run\"]");
    // What the build reads is let in; so are no keys and databases that lie around.
    let ignored = include_str!("../examples/kubernetes/Dockerfile.dockerignore");
    let let_in: Vec<&str> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    assert_eq!(
        let_in,
        ["Cargo.toml", "Cargo.lock", "src", "migrations", "examples"]
    );
    assert!(ignored.lines().any(|line| line == "*"));
}
