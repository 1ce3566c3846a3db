//! What `docker-compose.yml`, the Dockerfile and the seccomp profile promise, held without an engine and
//! without a network: no password, no door to the world, and no setting that the program does not know.

use std::collections::BTreeSet;

use chatferry::config::table;
use serde_json::Value;

use super::none_of;
use super::source::{root, text};

fn compose() -> Value {
    serde_saphyr::from_str(&text("docker-compose.yml")).unwrap()
}

fn services(compose: &Value) -> impl Iterator<Item = (&String, &Value)> {
    compose["services"].as_object().unwrap().iter()
}

/// The words of a list, each as text.
fn list<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    value[name].as_array().into_iter().flatten().map(|item| item.as_str().unwrap_or_default()).collect()
}

/// Variables of a service as pairs, from the list form or the map form.
fn environment(service: &Value) -> Vec<(String, String)> {
    match &service["environment"] {
        Value::Object(pairs) => {
            pairs.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
        }
        list => list
            .as_array()
            .into_iter()
            .flatten()
            .map(|line| {
                // A variable in the name may hold a '=' of its own only after the closing brace.
                let line = line.as_str().unwrap();
                // Without a value: handed through from .env, if it stands there.
                if !line.contains('=') {
                    return (line.to_owned(), String::new());
                }
                let from = line.find('}').filter(|_| line.starts_with('$')).unwrap_or(0);
                let at = from + line[from..].find('=').unwrap();
                (line[..at].to_owned(), line[at + 1..].to_owned())
            })
            .collect(),
    }
}

/// What is wrong with a service, as sentences.
fn faults(name: &str, service: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            found.push(format!("{name}: {what}"));
        }
    };
    must(service["read_only"] == true, "the root file system is not read-only");
    must(list(service, "cap_drop") == ["ALL"], "capabilities are not dropped");
    must(service["cap_add"].is_null() && service["privileged"].is_null(), "it has more rights than it needs");
    must(list(service, "security_opt").contains(&"no-new-privileges:true"), "no-new-privileges is missing");
    must(!list(service, "security_opt").iter().any(|option| option.contains("unconfined")), "it is unconfined");
    must(!list(&service["healthcheck"], "test").is_empty(), "it has no health check");
    must(service["healthcheck"]["disable"].is_null(), "its health check is off");
    must(service["restart"] == "unless-stopped", "it is not started again");
    must(!service["networks"].is_null() && service["network_mode"].is_null(), "its networks are not named");
    for limit in ["cpus", "memory", "pids"] {
        must(!service["deploy"]["resources"]["limits"][limit].is_null(), &format!("no limit of {limit}"));
    }
    let ports = service["ports"].as_array().into_iter().flatten();
    for port in ports {
        let local = port.as_str().is_some_and(|port| port.starts_with("127.0.0.1:"));
        must(local, &format!("{port} is open to other machines"));
    }
    let image = service["image"].as_str().unwrap_or_default();
    must(image.contains(':') && !image.ends_with(":latest"), "the image has no version");
    for (variable, value) in environment(service) {
        let secret =
            ["PASS", "SECRET", "TOKEN", "KEY", "URL", "URI", "COOKIE"].iter().any(|word| variable.contains(word));
        let named = variable.ends_with("_FILE") && value.starts_with("/run/secrets/");
        must(!secret || named, &format!("{variable} holds a secret; name a file"));
        must(!value.contains("://"), &format!("{variable} holds an address, which may hold a password"));
        if let Some(secret) = value.strip_prefix("/run/secrets/") {
            must(list(service, "secrets").contains(&secret), &format!("the secret {secret} is not given to it"));
        }
    }
    found
}

#[test]
fn every_service_is_confined_watched_and_holds_no_password() {
    let compose = compose();
    let names: Vec<&str> = services(&compose).map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["alertmanager", "chatferry", "grafana", "mongodb", "prometheus", "rabbitmq"]);
    for (name, service) in services(&compose) {
        let beside = ["alertmanager", "grafana", "prometheus"].contains(&name.as_str());
        let wanted = if beside { vec!["observability"] } else { vec![] };
        assert_eq!(list(service, "profiles"), wanted, "{name}");
    }
    let found: Vec<String> = services(&compose).flat_map(|(name, service)| faults(name, service)).collect();
    none_of(&found, "docs/deployment.md says what every service needs.");
}

#[test]
fn nothing_starts_without_the_secrets() {
    let compose = compose();
    let mut used = BTreeSet::new();
    for (_, service) in services(&compose) {
        for secret in service["secrets"].as_array().into_iter().flatten() {
            used.insert(secret.as_str().or_else(|| secret["source"].as_str()).unwrap().to_owned());
        }
    }
    let script = text("deploy/make-secrets");
    for (name, secret) in compose["secrets"].as_object().unwrap() {
        let file = secret["file"].as_str().unwrap_or_else(|| panic!("{name} is no file"));
        assert!(file.starts_with("${SECRETS_DIR:?") && file.ends_with(&format!("}}/{name}")), "{name}: {file}");
        assert!(
            script.contains(&format!("keep {name} ")) || script.contains(&format!("ask {name} ")),
            "who makes {name}?"
        );
        assert!(used.remove(name), "nobody reads {name}");
    }
    assert!(used.is_empty(), "not declared: {used:?}");
    assert!(text(".gitignore").lines().any(|line| line == "/deploy/secrets"));
    assert!(text(".dockerignore").lines().any(|line| line == "*"), "the build would read the secrets");
}

/// Every variable of the table of settings.
pub fn known_variables() -> BTreeSet<String> {
    table::settings().flat_map(table::Setting::variables).collect()
}

#[test]
fn the_program_knows_every_variable_that_it_is_given() {
    let known = known_variables();
    let of_account: BTreeSet<String> = table::ACCOUNT_FIELDS
        .iter()
        .flat_map(|field| [Some(field.suffix.to_owned()), field.secret.then(|| format!("{}_FILE", field.suffix))])
        .flatten()
        .collect();
    let compose = compose();
    let given = environment(&compose["services"]["chatferry"]);
    assert!(given.len() > 4, "{given:?}");
    let unknown = given.into_iter().map(|(name, _)| name).filter(|name| match name.split_once("}_") {
        Some((prefix, suffix)) => !prefix.starts_with("${SITE_PREFIX:?") || !of_account.contains(suffix),
        None => !known.contains(name),
    });
    none_of(&unknown.collect::<Vec<_>>(), "src/config/table does not know it: the daemon would not start.");
    let dockerfile = text("Dockerfile");
    let variables = dockerfile.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    let unknown = variables.filter(|word| word.starts_with("CHATFERRY_") && !known.contains(*word));
    none_of(&unknown.map(str::to_owned).collect::<Vec<_>>(), "The Dockerfile sets what the program does not know.");
}

#[test]
fn the_stop_gives_the_drain_its_time() {
    let compose = compose();
    let chatferry = &compose["services"]["chatferry"];
    let seconds = |text: &str| text.trim_end_matches('s').parse::<u64>().unwrap();
    let drain = environment(chatferry).into_iter().find(|(name, _)| name == "CHATFERRY_DRAIN_TIMEOUT").unwrap().1;
    assert!(seconds(chatferry["stop_grace_period"].as_str().unwrap()) >= seconds(&drain) + 5);
}

#[test]
fn the_image_is_the_toolchains_and_runs_as_nobody_special() {
    let dockerfile = text("Dockerfile");
    let toolchain: toml::Table = toml::from_str(&text("rust-toolchain.toml")).unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    assert!(dockerfile.contains(&format!("FROM rust:{channel}-slim-bookworm AS build")), "not built with {channel}");
    let user = dockerfile.lines().rfind(|line| line.starts_with("USER ")).unwrap();
    assert_eq!(user, "USER 10001:10001");
    assert!(text("deploy/make-secrets").contains("DAEMON_UID:-10001"));
    assert!(dockerfile.contains("\nHEALTHCHECK ") && !dockerfile.contains("no-sandbox"));
    // What is copied is there, and not kept out.
    let kept: Vec<String> =
        text(".dockerignore").lines().filter_map(|line| line.strip_prefix('!')).map(str::to_owned).collect();
    assert!(kept.contains(&"deploy/healthcheck".to_owned()) && kept.contains(&"src".to_owned()));
    none_of(&kept.into_iter().filter(|name| !root().join(name).exists()).collect::<Vec<_>>(), "It does not exist.");
}

#[test]
fn the_seccomp_profile_lets_the_sandbox_in_and_nothing_out() {
    let profile: Value = serde_json::from_str(&text("deploy/seccomp-chromium.json")).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    assert_eq!(profile["architectures"], serde_json::json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"]));
    let mut seen = BTreeSet::new();
    let rules = profile["syscalls"].as_array().unwrap();
    for rule in rules {
        assert_eq!(rule["action"], "SCMP_ACT_ALLOW", "a rule that repeats the default is refused by libseccomp");
        assert!(rule["comment"].as_str().is_some_and(|why| !why.is_empty()), "{rule}");
        for name in list(rule, "names") {
            assert!(name == "socket" || seen.insert(name.to_owned()), "{name} twice");
        }
    }
    let with = |name: &str| rules.iter().filter(|rule| list(rule, "names").contains(&name)).collect::<Vec<_>>();
    // New user, PID and network namespaces, and no others.
    const ALLOWED: u64 = 0x1000_0000 | 0x2000_0000 | 0x4000_0000;
    const OTHERS: u64 = 0x0002_0000 | 0x0400_0000 | 0x0800_0000 | 0x0200_0000;
    for name in ["clone", "unshare"] {
        let argument = &with(name)[0]["args"][0];
        assert_eq!((&argument["op"], &argument["index"]), (&"SCMP_CMP_MASKED_EQ".into(), &0.into()), "{name}");
        let mask = argument["value"].as_u64().unwrap();
        assert_eq!((mask & ALLOWED, mask & OTHERS), (0, OTHERS), "{name}");
    }
    assert!(!with("chroot").is_empty() && !with("seccomp").is_empty(), "Chromium's sandbox needs it");
    let families: Vec<u64> = with("socket").iter().map(|rule| rule["args"][0]["value"].as_u64().unwrap()).collect();
    assert_eq!(families, [1, 2, 10, 16], "AF_UNIX, AF_INET, AF_INET6, AF_NETLINK");
    let never = "bpf clone3 delete_module finit_module fsopen init_module io_uring_setup kexec_load keyctl mount \
                 move_mount open_by_handle_at open_tree perf_event_open personality pivot_root process_vm_readv \
                 process_vm_writev ptrace reboot setns swapon umount2 userfaultfd";
    none_of(
        &never.split(' ').filter(|name| seen.contains(*name)).map(str::to_owned).collect::<Vec<_>>(),
        "Take it out.",
    );
    let compose = compose();
    let options = list(&compose["services"]["chatferry"], "security_opt");
    assert!(options.contains(&"seccomp=./deploy/seccomp-chromium.json"), "{options:?}");
}

#[test]
fn a_breach_is_found() {
    let compose = compose();
    let good = compose["services"]["rabbitmq"].clone();
    assert!(faults("x", &good).is_empty());
    let changes: [(&str, Value); 8] = [
        ("/read_only", false.into()),
        ("/cap_drop", Value::Null),
        ("/security_opt", serde_json::json!(["seccomp=unconfined"])),
        ("/healthcheck", Value::Null),
        ("/ports", serde_json::json!(["15672:15672"])),
        ("/deploy/resources/limits/memory", Value::Null),
        ("/image", "rabbitmq:latest".into()),
        ("/restart", "no".into()),
    ];
    for (path, value) in changes {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = value;
        assert!(!faults("x", &bad).is_empty(), "{path}");
    }
    for environment in [
        serde_json::json!({ "RABBITMQ_DEFAULT_PASS": "guest" }),
        serde_json::json!(["RABBITMQ_URL=amqp://a:b@c"]),
        serde_json::json!(["ANY=amqp://a:b@c"]),
        serde_json::json!(["X_PASSWORD_FILE=/run/secrets/not_given"]),
    ] {
        let mut bad = good.clone();
        bad["environment"] = environment.clone();
        assert!(!faults("x", &bad).is_empty(), "{environment}");
    }
}
