use std::sync::Mutex;

use super::*;
use crate::leak::tests::watch;

/// Writes down what it hears, and answers every question in one way.
#[derive(Debug)]
struct Listener {
    heard: Mutex<Vec<String>>,
    answer: Result<Answer, Unanswered>,
}

impl Session for Listener {
    fn log(&self, message: LogMessage) {
        let line = format!("{}: {}", message.level.as_str(), message.text);
        self.heard.lock().unwrap().push(line);
    }

    fn progress(&self, progress: CallProgress) {
        self.heard.lock().unwrap().push(progress.done.to_string());
    }

    fn ask(&self, question: Question) -> Answering {
        self.heard.lock().unwrap().push(question.message);
        let answer = self.answer.clone();
        Box::pin(async { answer })
    }
}

const SECRET: &str = "planted-secret";
const FORM: &str =
    r#"{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}"#;

fn session(answer: Result<Answer, Unanswered>, places: usize) -> (CallSession, Arc<Listener>) {
    let listener = Arc::new(Listener {
        heard: Mutex::default(),
        answer,
    });
    let session = CallSession::new(
        Arc::clone(&listener) as Arc<dyn Session>,
        &watch(SECRET),
        &Limits::default(),
        &Arc::new(Semaphore::new(places)),
    );
    (session, listener)
}

fn ann() -> Answer {
    Answer::Accept(serde_json::json!({ "name": "Ann" }))
}

#[tokio::test]
async fn a_secret_silences_the_guest_from_then_on() {
    let says: [fn(&mut CallSession, String); 2] = [
        |session, text| session.log(LogLevel::Info, text),
        |session, text| session.progress(1.0, None, Some(text)),
    ];
    for say in says {
        let (mut session, listener) = session(Ok(ann()), 1);
        say(&mut session, format!("it is {SECRET}"));
        session.log(LogLevel::Info, "harmless".to_owned());
        session.progress(2.0, None, None);
        let asked = session.ask("Who?".to_owned(), FORM.to_owned()).await;
        assert!(matches!(asked, Err(wit::AskError::Invalid(_))), "{asked:?}");
        assert!(listener.heard.lock().unwrap().is_empty());
        assert!(session.watch.found().is_some());
    }
}

#[tokio::test]
async fn a_question_with_a_secret_is_not_asked() {
    let titled = format!(r#"{{"type":"object","title":"{SECRET}","properties":{{}}}}"#);
    for (message, schema) in [(SECRET, FORM), ("Who?", titled.as_str())] {
        let (mut session, listener) = session(Ok(ann()), 1);
        let asked = session.ask(message.to_owned(), schema.to_owned()).await;
        assert!(matches!(asked, Err(wit::AskError::Invalid(_))), "{asked:?}");
        assert!(listener.heard.lock().unwrap().is_empty());
        assert_eq!(session.watch.found().unwrap().place, LeakPlace::Question);
    }
}

#[tokio::test]
async fn an_answer_is_as_the_schema_has_it_or_there_is_none() {
    let other = Answer::Accept(serde_json::json!({ "name": 1 }));
    let large = Answer::Accept(serde_json::json!({ "name": "x".repeat(ANSWER_BYTES) }));
    let gone = Unanswered::NoAnswer("the client is gone".to_owned());
    for (answer, expected) in [
        (Ok(ann()), r#"Ok(Answer::Accept("{\"name\":\"Ann\"}"))"#),
        (Ok(Answer::Decline), "Ok(Answer::Decline)"),
        (Ok(Answer::Cancel), "Ok(Answer::Cancel)"),
        (Ok(other), "does not fit the question"),
        (Ok(large), "is larger than"),
        (Err(gone), "the client is gone"),
    ] {
        let (mut session, _) = session(answer, 1);
        let got = session.ask("Who?".to_owned(), FORM.to_owned()).await;
        assert!(format!("{got:?}").contains(expected), "{got:?}");
    }
}

#[tokio::test]
async fn a_call_asks_a_few_questions_and_waits_only_where_there_is_room() {
    let (mut session, listener) = session(Ok(ann()), 1);
    for _ in 0..QUESTIONS {
        let asked = session.ask("Who?".to_owned(), FORM.to_owned()).await;
        assert!(asked.is_ok(), "{asked:?}");
    }
    let asked = session.ask("Who?".to_owned(), FORM.to_owned()).await;
    assert!(matches!(asked, Err(wit::AskError::TooMany(_))), "{asked:?}");
    assert_eq!(listener.heard.lock().unwrap().len(), QUESTIONS as usize);

    let (mut session, listener) = self::session(Ok(ann()), 0);
    let asked = session.ask("Who?".to_owned(), FORM.to_owned()).await;
    assert!(matches!(asked, Err(wit::AskError::TooMany(_))), "{asked:?}");
    assert!(listener.heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_question_is_refused_with_the_reason() {
    let long = "x".repeat(QUESTION_BYTES + 1);
    for (message, schema, part) in [
        ("", FORM, "it must have 1 to"),
        (long.as_str(), FORM, "it must have 1 to"),
        ("Who?", "{}", "no form"),
    ] {
        let (mut session, _) = session(Ok(ann()), 1);
        let asked = session.ask(message.to_owned(), schema.to_owned()).await;
        match asked {
            Err(wit::AskError::Invalid(why)) => assert!(why.contains(part), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}
