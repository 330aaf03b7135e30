//! Upload of files by users.

use super::build::{Builder, WidgetKind};
use super::{described, widget};
use phalanx_protocol::comm::Buffer;
use serde_json::{Value, json};

widget! {
    /// A button that uploads files from the user's machine.
    ///
    /// ```no_run
    /// use phalanx::widgets::FileUpload;
    /// let upload = FileUpload::builder().accept(".csv").multiple(true).build();
    /// upload.observe(|files| {
    ///     for file in files {
    ///         println!("{}: {} bytes", file.name, file.content.len());
    ///     }
    /// });
    /// upload.display();
    /// assert!(upload.value().is_empty());
    /// ```
    FileUpload, WidgetKind::control("FileUpload", "ButtonStyle")
}

described!(FileUpload);

/// A file uploaded by a user.
///
/// ```no_run
/// use phalanx::widgets::{FileUpload, UploadedFile};
/// let upload = FileUpload::new("data");
/// upload.display();
/// let sizes: Vec<usize> = upload.value().iter().map(|file: &UploadedFile| file.content.len()).collect();
/// # let _ = sizes;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedFile {
    /// The name, without a path.
    pub name: String,
    /// The MIME type as determined by the browser; may be empty.
    pub media_type: String,
    /// The content of the file.
    pub content: Vec<u8>,
}

impl FileUpload {
    /// Creates a button with this text, for one file of any type.
    pub fn new(description: &str) -> Self {
        Self::builder().description(description).build()
    }

    /// Returns a builder; one file of any type by default.
    pub fn builder() -> Builder<Self> {
        Builder::of(json!({
            "accept": "", "button_style": "", "description": "Upload",
            "description_allow_html": false, "disabled": false, "error": "", "icon": "upload",
            "multiple": false, "value": [],
        }))
    }

    /// Returns the files of the last upload.
    pub fn value(&self) -> Vec<UploadedFile> {
        let state = self.0.get("value");
        files(&state, self.0.buffers())
    }

    /// Removes the files.
    pub fn clear(&self) {
        self.0.set("value", json!([]));
    }

    /// Registers a callback for uploads by users, with the files.
    pub fn observe(&self, mut callback: impl FnMut(Vec<UploadedFile>) + Send + 'static) {
        self.0.on_message(Box::new(move |message| {
            let state = message.data.get("state");
            let Some(value) = state.and_then(|state| state.get("value")) else {
                return;
            };
            let paths = message.data.get("buffer_paths").and_then(Value::as_array);
            let paths = paths.into_iter().flatten().filter_map(Value::as_array);
            let buffers = paths.cloned().zip(message.buffers.iter().cloned());
            callback(files(value, buffers));
        }));
    }
}

impl Builder<FileUpload> {
    /// Sets the accepted types, as in HTML: `".csv"`, `"image/*"`.
    pub fn accept(self, types: &str) -> Self {
        self.state("accept", types)
    }

    /// Sets whether several files can be chosen at once.
    pub fn multiple(self, multiple: bool) -> Self {
        self.state("multiple", multiple)
    }

    /// Sets the colour by its meaning: `"primary"`, `"success"`, `"info"`, `"warning"`, `"danger"`.
    pub fn button_style(self, style: &str) -> Self {
        self.state("button_style", style)
    }
}

/// Returns the files in `value`, whose contents are at the paths `["value", INDEX, "content"]`.
fn files(
    value: &Value,
    buffers: impl IntoIterator<Item = (Vec<Value>, Buffer)>,
) -> Vec<UploadedFile> {
    let listed = value.as_array().into_iter().flatten();
    let text = |file: &Value, key: &str| file[key].as_str().unwrap_or_default().to_owned();
    let mut files: Vec<UploadedFile> = listed
        .map(|file| UploadedFile {
            name: text(file, "name"),
            media_type: text(file, "type"),
            content: Vec::new(),
        })
        .collect();
    for (path, Buffer(bytes)) in buffers {
        if let [_, index, key] = path.as_slice()
            && key == "content"
            && let Some(index) = index.as_u64()
            && let Some(file) = files.get_mut(index as usize)
        {
            file.content = bytes;
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_belong_to_their_files() {
        let value = json!([{"name": "a.csv", "type": "text/csv"}, {"name": "b"}]);
        let at = |index: usize, key: &str| vec![json!("value"), json!(index), json!(key)];
        let buffers = [
            (at(1, "content"), Buffer(vec![2, 3])),
            (at(0, "content"), Buffer(vec![1])),
            (at(9, "content"), Buffer(vec![9])),
            (at(0, "other"), Buffer(vec![8])),
        ];
        let read = files(&value, buffers);
        let file = |name: &str, media_type: &str, content: &[u8]| UploadedFile {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            content: content.to_owned(),
        };
        assert_eq!(
            read,
            [file("a.csv", "text/csv", &[1]), file("b", "", &[2, 3])]
        );
        assert!(files(&Value::Null, Vec::new()).is_empty());
    }
}
