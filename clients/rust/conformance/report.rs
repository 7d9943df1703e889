//! The lines the program writes.

use std::{env, fs::File, io::Write, io::stdout};

use crate::{Failure, Outcome};

pub struct Report(Box<dyn Write + Send>);

impl Report {
    /// To the file `CORRAL_REPORT` names, else to standard output.
    pub fn open() -> Result<Self, Failure> {
        Ok(Report(match env::var("CORRAL_REPORT") {
            Ok(path) => Box::new(File::create(path)?),
            Err(_) => Box::new(stdout()),
        }))
    }

    pub fn write_case(&mut self, case: &str, outcome: Outcome) -> Result<(), Failure> {
        let is_ok = outcome.is_ok();
        let detail = json_string(&outcome.unwrap_or_else(|why| why.to_string()));
        self.write(&format!(r#"{{"case": "{case}", "ok": {is_ok}, "detail": {detail}}}"#))
    }

    pub fn write(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.0, "{line}")?;
        Ok(self.0.flush()?)
    }
}

fn json_string(text: &str) -> String {
    let mut json = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => json.extend(['\\', letter]),
            letter if letter.is_control() => json += &format!("\\u{:04x}", letter as u32),
            letter => json.push(letter),
        }
    }
    json + "\""
}
