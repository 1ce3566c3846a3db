//! Settings as a whole: precedence, problems all at once, accounts.

use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::case::Case;
use super::*;
use crate::fault::Fault;

fn listed<'c>(config: &'c Config, variable: &str) -> (&'c str, String) {
    let listed = config.listing.iter().find(|listed| listed.variable == variable).unwrap();
    (&listed.value, listed.origin.to_string())
}

#[test]
fn nothing_set_gives_the_documented_defaults() {
    let config = Case::new().load().unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/chatferry"));
    assert_eq!(config.selectors_dir, Path::new("/var/lib/chatferry/selectors"));
    assert_eq!(config.http_addr.to_string(), "127.0.0.1:8787");
    assert_eq!(
        config.analysis,
        AnalysisSettings { quiet: Duration::from_secs(90), max_wait: Duration::from_secs(300) }
    );
    assert_eq!(config.collect.pass_interval, Duration::from_secs(60));
    assert_eq!(config.collect.login_budget.to_string(), "2/30m");
    assert_eq!(config.drain_timeout, Duration::from_secs(20));
    let browser = BrowserSettings {
        headless: true,
        chromium: None,
        no_sandbox: false,
        accounts: 20,
        max_age: Duration::from_secs(12 * 3600),
        max_memory: 2 << 30,
        max_processes: 200,
    };
    assert_eq!(config.browser, browser);
    assert!(config.session_key.is_none());
    assert_eq!((config.dry_run, config.log.format, config.log.colour), (false, LogFormat::Text, true));
    assert!(config.listing.iter().all(|listed| listed.origin.to_string() == "default"));
    assert_eq!((config.accounts.len(), config.warnings.len(), config.listing.len()), (0, 0, 53));
}

#[test]
fn the_strongest_place_that_names_a_setting_decides() {
    let mut case = Case::new().toml("\n[log]\nformat = \"json\"\nlevel = \"debug\"\n[analysis]\nquiet = \"1s\"\n");
    case = case
        .dotenv("\nLOG_LEVEL=warn\nLOG_FORMAT=nonsense\n")
        .env(&[("LOG_FORMAT", "nonsense"), ("LOG_LEVEL", "error")]);
    case.sources.flags.log_format = Some("text".to_owned());
    let config = case.load().unwrap();
    assert_eq!(listed(&config, "LOG_FORMAT"), ("text", "flag --log-format".to_owned()));
    assert_eq!(listed(&config, "LOG_LEVEL"), ("error", "environment".to_owned()));
    assert_eq!(listed(&config, "CHATFERRY_ANALYSIS_QUIET"), ("1s", "chatferry.toml line 6".to_owned()));
    case.sources.environment.clear();
    assert_eq!(listed(&case.load().unwrap(), "LOG_LEVEL"), ("warn", ".env line 2".to_owned()));
    // An empty variable takes back what a weaker place says.
    let case = case.env(&[("LOG_LEVEL", "")]);
    assert_eq!(listed(&case.load().unwrap(), "LOG_LEVEL"), ("info", "default".to_owned()));
}

#[test]
fn budgets_are_limits_only_where_they_are_set() {
    assert_eq!(Case::new().load().unwrap().budgets, BudgetLimits::default());
    let case = Case::new()
        .toml("\n[ai.budget]\nmonth_cost = \"12.5\"\nconversation_day_tokens = 5000\n")
        .env(&[("AI_BUDGET_MONTH_TOKENS", "2M"), ("AI_BUDGET_ACCOUNT_DAY_TOKENS", "200k")])
        .env(&[("AI_API_URL", "http://127.0.0.1:1/v1"), ("AI_MODEL", "m")])
        .env(&[("AI_PRICE_INPUT", "0.15"), ("AI_PRICE_OUTPUT", "0.6")]);
    let config = case.load().unwrap();
    let allowance = |tokens, cost_micros| Allowance { tokens, cost_micros };
    assert_eq!(config.budgets.month, allowance(Some(2_000_000), Some(12_500_000)));
    assert_eq!(config.budgets.account_day, allowance(Some(200_000), None));
    assert_eq!(config.budgets.conversation_day, allowance(Some(5000), None));
    assert_eq!(listed(&config, "AI_BUDGET_MONTH_COST").0, "12.50");
    let problems = Case::new().env(&[("AI_BUDGET_MONTH_COST", "2,50")]).load().unwrap_err().to_string();
    assert!(problems.contains("AI_BUDGET_MONTH_COST"), "{problems}");
}

#[test]
fn a_budget_that_limits_nothing_is_refused() {
    let budgets = [("AI_BUDGET_MONTH_COST", "5"), ("AI_BUDGET_MONTH_TOKENS", "2M")];
    let problems = Case::new().env(&budgets).problems();
    assert_eq!(problems, ["AI_BUDGET_MONTH_TOKENS @ environment", "AI_BUDGET_MONTH_COST @ environment"]);
    let service = [("AI_API_URL", "http://127.0.0.1:1/v1"), ("AI_MODEL", "m")];
    let problems = Case::new().env(&budgets).env(&service).problems();
    assert_eq!(problems, ["AI_BUDGET_MONTH_COST @ environment"], "without prices");
    // One price is as good as none: the other half of the costs would never be seen.
    for (price, other) in [("AI_PRICE_INPUT", "AI_PRICE_OUTPUT"), ("AI_PRICE_OUTPUT", "AI_PRICE_INPUT")] {
        let one = Case::new().env(&budgets).env(&service).env(&[(price, "0.15")]);
        assert_eq!(one.problems(), ["AI_BUDGET_MONTH_COST @ environment"], "only {price}");
        let told = one.load().unwrap_err().to_string();
        assert!(told.contains(&format!("without {other}:")), "{told}");
        // A price of nothing that was set is a price.
        assert!(one.env(&[(other, "0")]).load().is_ok(), "{other}");
    }
    let free = [("AI_PRICE_INPUT", "0"), ("AI_PRICE_OUTPUT", "0")];
    assert!(Case::new().env(&budgets).env(&service).env(&free).load().is_ok());
}

#[test]
fn an_alias_means_the_setting_and_says_so() {
    let config = Case::new().env(&[("PUPPETEER_HEADLESS", "no")]).load().unwrap();
    assert!(!config.browser.headless);
    assert_eq!(
        listed(&config, "CHATFERRY_BROWSER_HEADLESS"),
        ("false", "environment, as PUPPETEER_HEADLESS".to_owned())
    );
    let both = Case::new().env(&[("PUPPETEER_HEADLESS", "no"), ("CHATFERRY_BROWSER_HEADLESS", "yes")]);
    assert_eq!(both.problems(), ["CHATFERRY_BROWSER_HEADLESS @ environment"]);
}

#[test]
fn relative_paths_begin_where_they_stand() {
    let mut case = Case::new().env(&[("CHATFERRY_SELECTORS_DIR", "packs"), ("HOME", "/home/a")]);
    case.sources.flags.config = Some(case.dir.path().join("sub/other.toml"));
    std::fs::create_dir(case.dir.path().join("sub")).unwrap();
    let case = case.file("sub/other.toml", "data_dir = 'data'\n[browser]\nchromium_path = '~/bin/chromium'\n", 0o600);
    let config = case.load().unwrap();
    assert_eq!(config.data_dir, case.dir.path().join("sub/data"));
    assert_eq!(config.selectors_dir, case.dir.path().join("packs"));
    assert_eq!(config.browser.chromium.as_deref(), Some(Path::new("/home/a/bin/chromium")));
    assert_eq!(listed(&config, "CHATFERRY_DATA_DIR").1, "other.toml line 1");
}

#[test]
fn the_callers_list_of_sites_may_depend_on_the_selectors_folder() {
    let case = Case::new().env(&[("CHATFERRY_SELECTORS_DIR", "/packs"), ("X_USERNAME", "u"), ("X_PASSWORD", "p")]);
    let config = Config::load(case.sources.clone(), |dir| {
        assert_eq!(dir, Path::new("/packs"));
        vec!["x".parse().unwrap()]
    });
    assert_eq!(config.unwrap().accounts[0].id.to_string(), "x/default");
}

#[test]
fn all_problems_are_told_at_once() {
    let mut case = Case::new()
        .env(&[
            ("CHATFERRY_ANALYSIS_QUITE", "1s"),
            ("CHATFERRY_ANALYSIS_QUIET", "10m"),
            ("CHATFERRY_HTTP_ADDR", "0.0.0.0:8787"),
            ("CHATFERRY_BROWSER_NO_SANDBOX", "0"),
            ("RABBITMQ_URL", "http://u:canary@h/"),
            ("MONGODB_URI_FILE", "/nowhere"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x:1"),
            ("SENTRY_DSN", ""),
            ("MEETME_USERNAME", "anna"),
            ("SOMEBODY_ELSES", "x"),
        ])
        .dotenv("DRY_RUN=maybe\nCHATFERRY_LOGIN_BUDGET=2\nDRY_RUN=1\nCHATFERRY_BROWSER_NO_SANDBOX=1\n")
        .toml("colour = 1\n[ai]\nmodel = 'm'\n[analisys]\nquiet = 1\n[http]\n[drain_timeout]\n[collect]\npass_interval = 60\n");
    case.sources.flags.log_format = Some("xml".to_owned());
    let mut problems = case.problems();
    problems.sort();
    let mut expected = [
        "AI_MODEL @ chatferry.toml line 3",
        "CHATFERRY_ANALYSIS_MAX_WAIT @ default",
        "CHATFERRY_ANALYSIS_QUITE @ environment",
        "CHATFERRY_BROWSER_NO_SANDBOX @ .env line 4",
        "CHATFERRY_BROWSER_NO_SANDBOX @ environment",
        "CHATFERRY_HTTP_ADDR @ environment",
        "CHATFERRY_LOGIN_BUDGET @ .env line 2",
        "CHATFERRY_PASS_INTERVAL @ chatferry.toml line 9",
        "DRY_RUN @ .env line 1",
        "DRY_RUN @ .env line 3",
        "OTEL_EXPORTER_OTLP_ENDPOINT @ environment",
        "LOG_FORMAT @ flag --log-format",
        "MEETME_PASSWORD @ environment",
        "MONGODB_URI_FILE @ environment",
        "RABBITMQ_URL @ environment",
        "analisys.quiet @ chatferry.toml line 5",
        "colour @ chatferry.toml line 1",
        "drain_timeout @ chatferry.toml line 7",
    ];
    expected.sort_unstable();
    assert_eq!(problems, expected);
    let report = case.load().unwrap_err().to_string();
    for part in [
        "did you mean analysis.quiet?",
        "did you mean CHATFERRY_ANALYSIS_QUIET?",
        "unset OTEL_EXPORTER_OTLP_ENDPOINT",
        "\"maybe\"",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(!report.contains("canary"), "{report}");
}

#[test]
fn addresses_of_servers_are_shown_without_what_they_keep_secret() {
    let case = Case::new().env(&[
        ("RABBITMQ_URL", "amqp://user:canary@broker:5672/chats"),
        ("MONGODB_URI", "mongodb://user:canary@store/chats?authSource=admin"),
    ]);
    let config = case.load().unwrap();
    let shown = |name| config.listing.iter().find(|listed| listed.variable == name).unwrap().value.clone();
    assert_eq!(shown("RABBITMQ_URL"), "amqp://••••@broker:5672/chats");
    assert_eq!(shown("MONGODB_URI"), "mongodb://••••@store/chats?••••");
    assert_eq!(config.rabbitmq.as_ref().unwrap().url.expose_secret(), "amqp://user:canary@broker:5672/chats");
    assert_eq!(config.warnings.iter().filter(|warning| warning.contains("unencrypted")).count(), 2);
    assert!(!format!("{config:?}").contains("canary"), "{config:?}");
}

#[test]
fn a_slip_in_the_name_of_a_server_is_noticed() {
    let case = Case::new().env(&[("RABBITMQ_URI", "x"), ("MONGO_URI", "x"), ("MONGODB_PORT", "x"), ("HOME_URL", "x")]);
    let noticed = [
        "environment: MONGO_URI is not a setting; did you mean MONGODB_URI?",
        "environment: RABBITMQ_URI is not a setting; did you mean RABBITMQ_URL?",
    ];
    assert_eq!(case.load().unwrap().warnings, noticed);
}

#[test]
fn a_certificate_without_a_broker_has_no_effect_and_is_refused() {
    let problems = Case::new().env(&[("RABBITMQ_CA_PATH", "/ca.pem")]).problems();
    assert_eq!(problems, ["RABBITMQ_CA_PATH @ environment"]);
    let pair = |url| [("RABBITMQ_CA_PATH", "/ca.pem"), ("RABBITMQ_URL", url)];
    assert_eq!(Case::new().env(&pair("amqp://broker")).problems(), ["RABBITMQ_CA_PATH @ environment"]);
    assert!(Case::new().env(&pair("amqps://broker")).load().is_ok());
}

const SHEET: &str = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms";

/// A key file as Google hands it out, with a key that is none.
fn key_file(token_uri: &str) -> String {
    format!(
        r#"{{"type":"service_account","client_email":"a@b.iam.gserviceaccount.com","token_uri":"{token_uri}",
            "private_key":"-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n"}}"#
    )
}

#[test]
fn a_sheet_needs_its_id_and_a_key_and_takes_the_place_of_the_workbook() {
    let key = key_file("https://oauth2.googleapis.com/token");
    let pasted = format!("https://docs.google.com/spreadsheets/d/{SHEET}/edit#gid=0");
    let case = || {
        Case::new()
            .file("key.json", &key, 0o600)
            .env(&[("GOOGLE_SHEET_ID", &pasted), ("GOOGLE_CREDENTIALS_PATH", "key.json")])
    };
    let config = case().load().unwrap();
    let sheet = config.mirror.sheet.as_ref().unwrap();
    assert_eq!((sheet.sheet_id.as_str(), sheet.api.as_str()), (SHEET, "https://sheets.googleapis.com/"));
    assert_eq!((sheet.account.email.as_str(), config.mirror.workbook), ("a@b.iam.gserviceaccount.com", false));
    assert_eq!(listed(&config, "GOOGLE_SHEET_ID").0, SHEET);
    assert!(!format!("{config:?}").contains("canary"), "{config:?}");
    assert!(case().env(&[("CHATFERRY_WORKBOOK", "on")]).load().unwrap().mirror.workbook);
    let without = Case::new().load().unwrap().mirror;
    assert!(without.sheet.is_none() && without.workbook);
}

#[test]
fn half_a_sheet_and_a_wrong_one_are_refused() {
    let good = key_file("https://oauth2.googleapis.com/token");
    for (variables, content, mode, expected) in [
        (&[("GOOGLE_SHEET_ID", SHEET)][..], "", 0o600, &["GOOGLE_SHEET_ID @ environment"][..]),
        (&[("GOOGLE_CREDENTIALS_PATH", "key.json")], &good, 0o600, &["GOOGLE_CREDENTIALS_PATH @ environment"]),
        (
            &[("GOOGLE_SHEET_ID", SHEET), ("GOOGLE_CREDENTIALS_PATH", "key.json")],
            &good,
            0o644,
            &["GOOGLE_CREDENTIALS_PATH @ environment"],
        ),
        (
            &[("GOOGLE_SHEET_ID", "my sheet"), ("GOOGLE_CREDENTIALS_PATH", "key.json")],
            "{}",
            0o600,
            &["GOOGLE_SHEET_ID @ environment", "GOOGLE_CREDENTIALS_PATH @ environment"],
        ),
        (
            &[("GOOGLE_SHEETS_API_URL", "http://sheets.example/"), ("CHATFERRY_WORKBOOK", "off")],
            "",
            0o600,
            &["GOOGLE_SHEETS_API_URL @ environment", "CHATFERRY_WORKBOOK @ environment"],
        ),
    ] {
        assert_eq!(Case::new().file("key.json", content, mode).env(variables).problems(), expected);
    }
}

#[test]
fn a_bad_setting_ends_the_process_with_the_code_for_it() {
    let problems = Case::new().env(&[("DRY_RUN", "maybe")]).load().unwrap_err();
    assert_eq!(problems.code().as_str(), "config-invalid");
    assert_eq!((problems.class().as_str(), problems.scope().as_str()), ("permanent", "process"));
    assert!(problems.to_string().starts_with("1 problem with the settings: DRY_RUN (environment): "), "{problems}");
}

#[test]
fn a_file_that_is_asked_for_must_be_there() {
    let mut case = Case::new();
    case.sources.flags.config = Some("/nowhere/x.toml".into());
    assert_eq!(case.problems(), ["/nowhere/x.toml @ flag --config"]);
}

#[test]
fn accounts_come_from_variables_and_from_tables() {
    let case = Case::new()
        .env(&[
            ("MEETME_USERNAME", "annabella"),
            ("MEETME_PASSWORD_FILE", "secret"),
            ("MEETME_TERMS_ACKNOWLEDGED", "yes"),
        ])
        .file("secret", "s3cret\n", 0o600)
        .toml(
            "[[account]]\nsite = 'meetme'\nlabel = 'second'\nusername = 'b'\npassword = 'p w'\npaused = true\n\
             [[account]]\nsite = 'demo'\nusername = 'c'\npassword_file = 'secret'\nbase_url = 'http://127.0.0.1:9/'\n",
        );
    let config = case.load().unwrap();
    let found: Vec<_> = config
        .accounts
        .iter()
        .map(|a| (a.id.to_string(), a.password.expose_secret(), a.terms_acknowledged, a.paused, a.origin.to_string()))
        .collect();
    assert_eq!(
        found,
        [
            ("meetme/default".into(), "s3cret", true, false, "environment, as MEETME_PASSWORD_FILE".into()),
            ("meetme/second".into(), "p w", false, true, "chatferry.toml line 5".into()),
            ("demo/default".into(), "s3cret", false, false, "chatferry.toml line 10, as account.password_file".into()),
        ]
    );
    assert_eq!(config.accounts[2].base_url.as_ref().unwrap().as_str(), "http://127.0.0.1:9/");
}

#[test]
fn half_an_account_is_a_problem_and_so_is_a_double_one() {
    for (variables, toml, expected) in [
        (&[("MEETME_PASSWORD", "p")][..], "", &["MEETME_USERNAME @ environment"][..]),
        (&[("MEETME_USERNAME", "u"), ("MEETME_PASSWORD", "")], "", &["MEETME_PASSWORD @ environment"]),
        (
            &[("MEETME_BASE_URL", "https://a.example")],
            "",
            &["MEETME_USERNAME @ environment", "MEETME_PASSWORD @ environment"],
        ),
        (
            &[("DEMO_USERNAME", "u"), ("DEMO_PASSWORD", "p")],
            "[[account]]\nsite='demo'\nusername='u'\npassword='p'\n",
            &["account demo/default @ chatferry.toml line 1"],
        ),
        (&[], "[[account]]\nsite='demoo'\nusername='u'\npassword='p'\n", &["account.site @ chatferry.toml line 2"]),
        (&[], "[[account]]\nusername='u'\npassword='p'\n", &["account.site @ chatferry.toml line 1"]),
        (&[], "[[account]]\nsite='demo'\nusername='u'\npassword=''\n", &["account.password @ chatferry.toml line 1"]),
        (&[], "[[account]]\nsite='demo'\nusername='u'\npasword='p'\n", &["account.pasword @ chatferry.toml line 4"]),
        (&[("DEMO_PASSWORD", "p"), ("DEMO_PASSWORD_FILE", "f")], "", &["DEMO_PASSWORD @ environment"]),
        (
            &[("DEMO_USERNAME", "u"), ("DEMO_PASSWORD", "p"), ("DEMO_BASE_URL", "http://chat.example")],
            "",
            &["DEMO_BASE_URL @ environment"],
        ),
    ] {
        assert_eq!(Case::new().env(variables).toml(toml).problems(), expected);
    }
}

#[test]
fn a_password_that_would_arrive_changed_is_refused() {
    let case = Case::new().dotenv("DEMO_USERNAME=u\nDEMO_PASSWORD=pa$word\n");
    assert_eq!(case.problems(), ["DEMO_PASSWORD @ .env line 2"]);
    let case = Case::new().dotenv("DEMO_USERNAME=u\nDEMO_PASSWORD='pa$word'\n");
    assert_eq!(case.load().unwrap().accounts[0].password.expose_secret(), "pa$word");
}

#[test]
fn slips_in_the_env_file_and_open_files_are_warned_of() {
    let case = Case::new().file(
        ".env",
        "DEMO_USERNAME=u\nDEMO_PASSWORD=p\nDRY_RUM=1\nMETME_PASSWORD=x\nBUMBLEBEE_USERNAME=x\nPATH=/x\n",
        0o644,
    );
    let config = case.load().unwrap();
    let warnings = config.warnings.join("\n");
    for part in [
        "line 3: DRY_RUM is",
        "did you mean DRY_RUN?",
        "did you mean MEETME_PASSWORD?",
        "named BUMBLEBEE",
        "chmod 600 .env",
    ] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
    assert_eq!(config.warnings.len(), 4, "{warnings}");
    let server = Case::new().file(".env", "MONGODB_URI=mongodb+srv://u:p@h/d\n", 0o644);
    assert!(server.load().unwrap().warnings.concat().contains("chmod 600 .env"), "an address holds a password too");
}

proptest! {
    #[test]
    fn no_file_makes_the_reading_fall_over(dotenv in "[A-Z_=#$'\"\\\\ \n.a-z0-9]{0,80}", toml in "[a-z_=#'\"\\[\\] \n.0-9]{0,80}") {
        let _ = Case::new().dotenv(&dotenv).toml(&toml).load();
    }
}
