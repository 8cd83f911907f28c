//! pip.

use super::{Found, Image, ini};

const PIP: &str = "pip";

/// Where pip is set up for all users.
const FILES: [&str; 4] = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", "/usr/pip.conf", "/usr/local/pip.conf"];

/// Names a file of settings.
const CONFIG_FILE: &str = "PIP_CONFIG_FILE";

/// Prints the index that is built into the pip of this Python, and where its files lie.
const BUILT_IN: &str = "from pip._internal.models.index import PyPI\n\
    print(PyPI.simple_url)\n\
    print('https://' + PyPI.file_storage_domain + '/')";

pub(super) fn look(image: &Image, found: &mut Found) {
    let mut variables = image.variables(&["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"]);
    let set = image.variable(CONFIG_FILE).map(str::to_owned);
    // A file that is not root's steers nothing, whoever names it.
    let set = set.and_then(|path| Some((image.text(PIP, &path, found)?, path)));
    let own = variables.clone();
    variables.extend(set.as_ref().map(|(_, path)| (CONFIG_FILE.to_owned(), path.clone())));

    let pip = ["pip3", PIP].into_iter().find(|program| image.has(program));
    let said = pip.and_then(|pip| image.ask(pip, &["config", "list"], &variables, found));
    let settings: Vec<(String, String)> = if let Some(said) = said {
        let lines = ini::lines(&said).into_iter();
        // As Python writes text.
        lines.map(|line| (line.key, ini::unquoted(&line.value).replace("\\n", " "))).collect()
    } else {
        let texts: Vec<String> = FILES.iter().filter_map(|path| image.text(PIP, path, found)).collect();
        let texts = texts.iter().chain(set.as_ref().map(|(text, _)| text));
        let lines = texts.flat_map(|text| ini::lines(text));
        let own = own.into_iter().map(|(name, value)| (name.replace("PIP_", ""), value));
        lines.map(|line| (line.key, line.value)).chain(own).collect()
    };
    let mut has_index = false;
    for (key, value) in settings {
        // `global.index-url` where pip says it, `index-url` in files, and either may have an underscore.
        let key = key.rsplit('.').next().unwrap_or_default().replace('_', "-").to_ascii_lowercase();
        has_index |= key == "index-url";
        if key == "index-url" || key == "extra-index-url" {
            for url in value.split_whitespace() {
                found.url(PIP, url);
            }
        }
    }
    if has_index || pip.is_none() {
        return;
    }
    let python = ["python3", "python"].into_iter().find(|program| image.has(program));
    let said = python.and_then(|python| image.ask(python, &["-I", "-c", BUILT_IN], &[], found));
    match said {
        Some(said) => {
            for url in said.lines() {
                found.url(PIP, url);
            }
        }
        None => found.untold(PIP, "it is set up for no index and its Python does not say which is built in"),
    }
}
