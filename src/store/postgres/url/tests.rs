use super::*;

fn url(text: &str) -> PostgresUrl {
    text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
}

/// `host:port/database user mode`, of each host.
fn read(text: &str) -> String {
    let url = url(text);
    let each = |options: &PgConnectOptions| {
        let host = options.get_socket().map_or_else(
            || options.get_host().to_owned(),
            |path| path.display().to_string(),
        );
        format!(
            "{host}:{}/{} {} {:?}",
            options.get_port(),
            options.get_database().unwrap_or("-"),
            options.get_username(),
            options.get_ssl_mode()
        )
    };
    let hosts: Vec<String> = url.hosts.iter().map(each).collect();
    hosts.join(", ")
}

/// As their pages show them.
#[test]
fn what_providers_hand_out_is_read() {
    for (text, expected) in [
        // Render: inside its network a bare name, outside a whole one.
        (
            "postgresql://app:pw@dpg-abc123-a/app_db",
            "dpg-abc123-a:5432/app_db app Prefer",
        ),
        (
            "postgresql://app:pw@dpg-abc123-a.frankfurt-postgres.render.com/app_db",
            "dpg-abc123-a.frankfurt-postgres.render.com:5432/app_db app VerifyFull",
        ),
        // Supabase: direct, and its two poolers.
        (
            "postgresql://postgres:pw@db.abcdefghij.supabase.co:5432/postgres",
            "db.abcdefghij.supabase.co:5432/postgres postgres VerifyFull",
        ),
        (
            "postgres://postgres.abcdefghij:pw@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
            "aws-0-eu-central-1.pooler.supabase.com:6543/postgres postgres.abcdefghij VerifyFull",
        ),
        (
            "postgres://p.a:pw@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?sslmode=require&supa=base-pooler.x",
            "aws-0-eu-central-1.pooler.supabase.com:6543/postgres p.a Require",
        ),
        // Neon.
        (
            "postgresql://alex:pw@ep-cool-123-pooler.us-east-2.aws.neon.tech/dbname?sslmode=require&channel_binding=require",
            "ep-cool-123-pooler.us-east-2.aws.neon.tech:5432/dbname alex VerifyFull",
        ),
        (
            "postgresql://alex:pw@ep-cool-123.us-east-2.aws.neon.tech/dbname?sslmode=require&options=endpoint%3Dep-cool-123",
            "ep-cool-123.us-east-2.aws.neon.tech:5432/dbname alex Require",
        ),
        // Heroku, and what its users add to it.
        (
            "postgres://uabc:pw@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1",
            "ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1 uabc VerifyFull",
        ),
        (
            "postgres://uabc:pw@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1?sslmode=no-verify",
            "ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1 uabc Require",
        ),
        // RDS, with its bundle of roots.
        (
            "postgresql://u:pw@x.c1.eu-west-1.rds.amazonaws.com:5432/db?sslmode=verify-full&sslrootcert=/etc/rds.pem",
            "x.c1.eu-west-1.rds.amazonaws.com:5432/db u VerifyFull",
        ),
        (
            "postgresql://u:pw@x.c1.eu-west-1.rds.amazonaws.com/db?sslmode=require&sslrootcert=/etc/rds.pem",
            "x.c1.eu-west-1.rds.amazonaws.com:5432/db u VerifyCa",
        ),
        (
            "postgresql://u:pw@h.example.com/db?sslmode=require&sslrootcert=system",
            "h.example.com:5432/db u VerifyFull",
        ),
        // Containers beside each other, SQLAlchemy, Prisma, npgsql's words.
        (
            "postgres://postgres:postgres@db:5432/app",
            "db:5432/app postgres Prefer",
        ),
        (
            "postgresql://u:pw@host.docker.internal/app?schema=public&pool_timeout=10&statement_cache_size=0",
            "host.docker.internal:5432/app u Prefer",
        ),
        // libpq's other forms.
        (
            "postgresql:///app?host=/var/run/postgresql&user=u",
            "/var/run/postgresql:5432/app u Prefer",
        ),
        (
            "postgresql://u@%2Fvar%2Frun%2Fpostgresql/app",
            "/var/run/postgresql:5432/app u Prefer",
        ),
        ("postgres://u:p@[::1]:5433/db", "::1:5433/db u Prefer"),
        (
            "postgres://u:p@[fe80::1%25eth0]/db",
            "fe80::1%eth0:5432/db u VerifyFull",
        ),
        (
            "postgres://u:p@h1:5432,h2:5433,h3/db?target_session_attrs=read-write",
            "h1:5432/db u Prefer, h2:5433/db u Prefer, h3:5432/db u Prefer",
        ),
        (
            "postgres://u:p@/db?host=h1,h2&port=6000&sslmode=disable",
            "h1:6000/db u Disable, h2:6000/db u Disable",
        ),
        (
            "postgres://h.example.com/db?user=u&password=p&ssl=true",
            "h.example.com:5432/db u VerifyFull",
        ),
        (
            "postgres://u:p@127.0.0.1/db?sslmode=prefer",
            "127.0.0.1:5432/db u Prefer",
        ),
        (
            "postgres://u%40x:p%23%2F%3F%40%25@h/db%2Fname",
            "h:5432/db/name u@x Prefer",
        ),
        // An @ that was left as it is can only be the password's.
        ("postgres://u:p@ss@h:5433/db", "h:5433/db u Prefer"),
    ] {
        assert_eq!(read(text), expected, "{text}");
        let shown = format!("{:?} {}", url(text), url(text).name());
        assert!(!shown.contains("pw") && !shown.contains("p@"), "{shown}");
    }
}

#[test]
fn what_is_wrong_is_said_without_the_password() {
    let encode = "%23 for #";
    for (text, part) in [
        ("postgres://u:hush#word@h/db", encode),
        ("postgres://u:hush/word@h/db", encode),
        ("postgres://u:1234/hush@h/db", encode),
        ("postgres://u:1234#hush@h/db", encode),
        ("postgres://u:1234?hush@h/db", encode),
        ("postgres://u:hush%zz@h/db", encode),
        ("postgres://u:hush%@h/db", encode),
        ("postgres://u:hush:word@h:x/db", "port is a number"),
        ("postgres://u:hush@h:0/db", "port is a number"),
        ("postgres://u:hush@h:70000/db", "port is a number"),
        ("postgres://u:hush@::1/db", "[::1]:5432"),
        ("postgres://u:hush@[::1/db", "is not closed"),
        ("postgres://u:hush@[::1]5432/db", "behind the bracket"),
        (
            "postgres://u:hush@h1,h2,h3/db?port=1,2",
            "3 hosts and 2 ports",
        ),
        ("postgres://u:hush@h/db?sslmode=hush", "sslmode is none of"),
        ("postgres://u:hush@h/db?connect_timeout=hush", "seconds"),
        (
            "postgres://u:hush@h/db?target_session_attrs=standby",
            "read-write",
        ),
        (
            "postgres://u:hush@h/db?target_session_attrs=hush",
            "is none of",
        ),
        ("postgres:hush", "postgres://USER"),
    ] {
        let why = text.parse::<PostgresUrl>().expect_err(text);
        assert!(why.contains(part) && !why.contains("hush"), "{text}: {why}");
    }
}

#[test]
fn time_outs_are_bounded_and_a_choice_of_hosts_asks_for_the_primary() {
    for (query, seconds) in [
        ("", 10),
        ("?connect_timeout=3", 3),
        ("?connect_timeout=0", 10),
        ("?connect_timeout=-1", 10),
        ("?connect_timeout=86400", 60),
    ] {
        let url = url(&format!("postgres://h/db{query}"));
        assert_eq!(url.connect_timeout, Duration::from_secs(seconds), "{query}");
        assert!(!url.asks_for_primary);
    }
    assert!(url("postgres://h1,h2/db").asks_for_primary);
    assert!(url("postgres://h/db?target_session_attrs=read-write").asks_for_primary);
}
