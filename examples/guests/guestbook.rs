//! A guest book: POST adds what the body says, GET shows the last ten. It needs the permission `kv` for `guests`.

use echelon::{kv, log, Json, Request, Response};

echelon::export! {
    fn handle(request: Request) -> Response {
        match request.method.as_str() {
            "GET" => Response::json(&entries()),
            "POST" => add(request.text().trim()),
            _ => Response::text("read me with GET, sign with POST").status(405).with("allow", "GET, POST"),
        }
    }
}

fn entries() -> Json {
    let found = kv::List::of("guests").reverse().limit(10).read();
    let texts = found.iter().filter_map(|(_, entry)| entry.value.text().map(Json::from));
    Json::List(texts.collect())
}

fn add(text: &str) -> Response {
    if text.is_empty() || text.len() > 200 {
        return Response::text("write 1 to 200 bytes").status(422);
    }
    // Somebody else may sign at the same time: then the number is taken, and the next one is tried.
    loop {
        let last = kv::get("last");
        let (number, stamp) = match &last {
            Some(entry) => (entry.value.number().unwrap_or(0) + 1, entry.versionstamp.as_str()),
            None => (1, ""),
        };
        let signed = kv::Atomic::new().check("last", stamp).set("last", number).set(("guests", number as i64), text);
        if signed.commit().is_some() {
            log::info(format!("guest {number} signed"));
            return Response::text(format!("you are guest {number}")).status(201);
        }
    }
}
