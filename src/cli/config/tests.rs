//! What is shown, and that no secret is.

use super::*;
use crate::config::case::Case;
use crate::fault::AnyFault;

#[test]
fn nothing_printable_holds_a_secret() {
    let canaries =
        ["canary-user-1", "canary-pass-1", "canary-user-2", "canary-pass-2", "canary-file-3", "canary-other"];
    let good = Case::new()
        .env(&[("MEETME_USERNAME", canaries[0]), ("SOMEBODY_ELSES_TOKEN", canaries[5])])
        .dotenv(&format!("MEETME_PASSWORD={}\nFOREIGN={}\n", canaries[1], canaries[5]))
        .file("secret", canaries[4], 0o600)
        .toml(&format!(
            "[[account]]\nsite='demo'\nusername='{0}'\npassword='{1}'\n\
             [[account]]\nsite='demo'\nlabel='b'\nusername='{0}'\npassword_file='secret'\n",
            canaries[2], canaries[3]
        ));
    let config = good.load().unwrap();
    assert_eq!(config.accounts.len(), 3);
    let mut printed = format!("{config:?} {config:#?} {:?}", good.sources);
    for json in [false, true] {
        printed += &render_show(&config, json);
        printed += &render_ok(&config, json);
    }
    assert!(printed.contains("ca••••") && printed.contains(MASK), "{printed}");

    let long = "canary-pass-1".repeat(100);
    let bad = Case::new()
        .env(&[
            ("MEETME_PASSWORD", canaries[1]),
            ("RABBITMQ_URL", "amqp://u:canary-other@h/"),
            ("AI_API_KEY", canaries[5]),
            ("AI_API_KEY_FILE", "secret"),
            ("CHATFERRY_SECRET", canaries[5]),
            ("CHATFERRY_HTTP_ADDR", "http://u:canary-other@h/"),
            ("DEMO_PASSWORD", &long),
            ("DEMO_BASE_URL", "https://u:canary-other@h/"),
        ])
        .dotenv("A=canary-other b\nMEETME_USERNAME=$canary-user-1\nMEETME_USERNAME=canary-user-1\n")
        .file("secret", canaries[4], 0o644)
        .toml(
            "password='canary-other'\n[[account]]\nsite='canary-other!'\nusername='canary-user-2'\n\
             password='canary-pass-2'\npassword_file='secret'\n[[account]]\nsite='demo'\npassword_file='secret'\n\
             [[account]]\nsite='demo'\nusername='canary-user-2'\npasword='canary-pass-2'\nterms_acknowledged='canary-other'\n",
        );
    let problems = bad.load().unwrap_err();
    assert!(problems.0.len() > 12, "{problems}");
    printed += &format!("{problems} {problems:?} {}", AnyFault::from(problems.clone()).chain());
    printed += &render_problems(&problems);
    printed += &render_problems_json(&problems);
    let broken =
        Case::new().toml("password = canary-other\n[[account]\nusername = 'canary-user-1\n").load().unwrap_err();
    printed += &format!("{broken} {broken:?}");
    for canary in canaries {
        assert!(
            !printed.contains(canary),
            "{canary} in {}",
            printed.split(canary).next().map_or("", |b| &b[b.len().saturating_sub(200)..])
        );
    }
}

#[test]
fn show_is_a_table_or_one_json_document() {
    let case = Case::new().env(&[("LOG_LEVEL", "debug"), ("DEMO_USERNAME", "annabella"), ("DEMO_PASSWORD", "p")]);
    let config = case.load().unwrap();
    let text = render_show(&config, false);
    let line = text.lines().find(|line| line.starts_with("LOG_LEVEL")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["LOG_LEVEL", "debug", "environment"]);
    assert!(text.contains("account demo/default  username an••••  password ••••  environment\n"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&render_show(&config, true)).unwrap();
    assert_eq!(json["settings"].as_array().unwrap().len(), 53);
    assert_eq!(json["accounts"][0]["password"], MASK);
    assert_eq!(json["settings"][0]["origin"], "default");
}

#[test]
fn a_check_says_how_many_accounts_there_are_or_what_to_mend() {
    let case = Case::new().env(&[("DEMO_USERNAME", "annabella"), ("DEMO_PASSWORD", "p")]);
    assert_eq!(render_ok(&case.load().unwrap(), false), "the settings are in order: 1 account\n");
    let problems = case.dotenv("DRY_RUN=maybe\n").load().unwrap_err();
    assert_eq!(
        render_problems(&problems),
        "1 problem with the settings\n\nDRY_RUN  (.env line 1)\n  wrong:    \"maybe\" can't be used\n  \
         expected: true, false, 1, 0, yes or no\n  fix:      correct it, or remove it for false\n"
    );
    let json: serde_json::Value = serde_json::from_str(&render_problems_json(&problems)).unwrap();
    assert_eq!((json["ok"].as_bool(), json["problems"][0]["origin"].as_str()), (Some(false), Some(".env line 1")));
}
