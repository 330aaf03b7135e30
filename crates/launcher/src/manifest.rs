//! The Kubernetes manifest of a cluster. Pure, except for the key.
//!
//! A Secret contains key and ports in connection files: the controller reuses them as a restarted
//! one does, the engines read them, and the user's copy connects by `kubectl port-forward`.

use phalanx_transport::wire::{SignatureScheme, SigningKey};
use phalanx_transport::{ClientConnectionFile, EngineConnectionFile};
use std::fmt::Write as _;
use std::str::FromStr;

/// The first port.
const FIRST_PORT: u16 = 10101;

/// The longest name: that of a DNS label, less the suffixes of Kubernetes and of this manifest.
const MAX_NAME: usize = 40;

/// The parameters of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The cluster's name, and prefix of the names of all objects.
    pub name: Name,
    /// The number of engines.
    pub engines: usize,
    /// The image, which contains `phalanx` and `phalanx-engine` on its PATH.
    pub image: Image,
    /// The number of cores requested for each engine, in Kubernetes' format.
    pub cpu: Quantity,
}

macro_rules! checked {
    ($(#[$doc:meta])* $type:ident, $error:ident, $message:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $type(String);

        #[doc = concat!("Text that is no ", stringify!($type), ".")]
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        #[error($message)]
        pub struct $error(String);

        impl FromStr for $type {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                let fits: fn(&str) -> bool = $fits;
                match !text.is_empty() && fits(text) {
                    true => Ok(Self(text.to_owned())),
                    false => Err($error(text.to_owned())),
                }
            }
        }
    };
}

checked!(
    /// A Kubernetes name.
    Name,
    NameError,
    "`{0}` is not a name: lower-case letters, digits and `-`, 40 at most, beginning with a letter",
    |text| text.len() <= MAX_NAME
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
);

checked!(
    /// The name of an image.
    Image,
    ImageError,
    "`{0}` is not the name of an image, such as `registry.example/phalanx:0.1`",
    |text| text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "./:_-@".contains(c))
);

checked!(
    /// A Kubernetes quantity.
    Quantity,
    QuantityError,
    "`{0}` is not a number of cores, such as `2`, `0.5` or `500m`",
    |text| text.trim_end_matches('m').parse::<f64>().is_ok_and(|cores| cores > 0.0)
        && text.chars().all(|c| c.is_ascii_digit() || c == '.' || c == 'm')
);

/// The connection files of a cluster: for engines, for the controller, and for the user's client.
struct Files {
    engine: EngineConnectionFile,
    client: ClientConnectionFile,
    user: ClientConnectionFile,
}

impl Manifest {
    /// Returns the text of the manifest, with a new key.
    ///
    /// # Errors
    /// Returns an error if a connection file cannot be serialized, which does not occur.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let key = SigningKey::fresh(SignatureScheme::Sha256);
        self.text_with(key.secret(), key.scheme().as_str())
    }

    fn text_with(&self, key: &str, scheme: &str) -> Result<String, serde_json::Error> {
        let files = self.files(key, scheme);
        let mut ports = files.client.ports();
        ports.extend(files.engine.ports());
        ports.sort_unstable();
        ports.dedup();
        let mut text = self.introduction(&ports);
        text.push_str(&self.secret(&files)?);
        text.push_str(&self.service(&ports));
        text.push_str(&self.controller());
        text.push_str(&self.engines());
        Ok(text)
    }

    fn files(&self, key: &str, signature_scheme: &str) -> Files {
        let mut next = FIRST_PORT - 1;
        let mut port = || {
            next += 1;
            next
        };
        let registration = port();
        let json = || "json".to_owned();
        let client = ClientConnectionFile {
            ssh: String::new(),
            interface: "tcp://0.0.0.0".to_owned(),
            registration,
            control: port(),
            mux: port(),
            task: port(),
            task_scheme: "leastload".to_owned(),
            iopub: port(),
            notification: port(),
            broadcast: port(),
            key: key.to_owned(),
            curve_serverkey: None,
            location: format!("{}-controller", self.name.0),
            pack: json(),
            unpack: json(),
            signature_scheme: signature_scheme.to_owned(),
            phalanx_sockets: None,
            phalanx_reuse: true,
        };
        let engine = EngineConnectionFile {
            ssh: String::new(),
            interface: client.interface.clone(),
            registration,
            control: port(),
            mux: port(),
            task: port(),
            iopub: port(),
            hb_ping: port(),
            hb_pong: port(),
            broadcast: vec![port()],
            key: key.to_owned(),
            curve_serverkey: None,
            location: client.location.clone(),
            pack: json(),
            unpack: json(),
            signature_scheme: signature_scheme.to_owned(),
            phalanx_sockets: None,
            phalanx_reuse: true,
        };
        let user = ClientConnectionFile {
            interface: "tcp://127.0.0.1".to_owned(),
            location: String::new(),
            phalanx_reuse: false,
            ..client.clone()
        };
        Files {
            engine,
            client,
            user,
        }
    }

    fn introduction(&self, ports: &[u16]) -> String {
        let name = &self.name.0;
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        format!(
            "# A Phalanx cluster for Kubernetes. It contains the cluster's key: keep it to yourself.\n\
             #\n\
             #   kubectl apply -f cluster.yaml\n\
             #   kubectl get secret {name} -o jsonpath='{{.data.user-client\\.json}}' | base64 -d > {name}.json\n\
             #   kubectl port-forward service/{name}-controller {}\n\
             #\n\
             # and in a notebook `%cluster connect {name}.json`. `kubectl scale deployment {name}-engines --replicas N`\n\
             # changes the number of engines, `kubectl delete -f cluster.yaml` ends it.\n",
            ports.join(" ")
        )
    }

    /// Returns the start of an object, up to the end of its metadata.
    fn head(&self, api: &str, kind: &str, part: &str) -> String {
        let name = &self.name.0;
        format!(
            "---\napiVersion: {api}\nkind: {kind}\nmetadata:\n  name: {name}{part}\n  labels:\n    app.kubernetes.io/name: phalanx\n    app.kubernetes.io/instance: {name}\n"
        )
    }

    fn secret(&self, files: &Files) -> Result<String, serde_json::Error> {
        let mut text = self.head("v1", "Secret", "");
        text.push_str("type: Opaque\nstringData:\n");
        for (name, json) in [
            (
                "ipcontroller-client.json",
                serde_json::to_string(&files.client)?,
            ),
            (
                "ipcontroller-engine.json",
                serde_json::to_string(&files.engine)?,
            ),
            ("user-client.json", serde_json::to_string(&files.user)?),
        ] {
            // Single-line JSON needs no quoting in a literal block.
            let _ = write!(text, "  {name}: |\n    {json}\n");
        }
        Ok(text)
    }

    fn service(&self, ports: &[u16]) -> String {
        let mut text = self.head("v1", "Service", "-controller");
        let name = &self.name.0;
        let _ = write!(
            text,
            "spec:\n  selector:\n    phalanx: {name}-controller\n  ports:\n"
        );
        for port in ports {
            let _ = write!(text, "    - name: p{port}\n      port: {port}\n");
        }
        text
    }

    fn controller(&self) -> String {
        // Copied, since the controller rewrites its files and a Secret is mounted read-only.
        let command = format!(
            "cp /secret/ipcontroller-*.json /files && exec phalanx controller --reuse --folder /files --ip 0.0.0.0 --location {}-controller",
            self.name.0
        );
        self.deployment(
            "controller",
            1,
            &format!("[\"sh\", \"-c\", \"{command}\"]"),
            true,
        )
    }

    fn engines(&self) -> String {
        let command = "[\"phalanx-engine\", \"--file\", \"/secret/ipcontroller-engine.json\"]";
        self.deployment("engines", self.engines, command, false)
    }

    fn deployment(&self, part: &str, replicas: usize, command: &str, writes: bool) -> String {
        let mut text = self.head("apps/v1", "Deployment", &format!("-{part}"));
        let (name, image, cpu) = (&self.name.0, &self.image.0, &self.cpu.0);
        let _ = write!(
            text,
            "spec:\n  replicas: {replicas}\n  selector:\n    matchLabels:\n      phalanx: {name}-{part}\n  template:\n    metadata:\n      labels:\n        phalanx: {name}-{part}\n    spec:\n      automountServiceAccountToken: false\n      containers:\n        - name: {part}\n          image: {image}\n          command: {command}\n          resources:\n            requests:\n              cpu: \"{cpu}\"\n          volumeMounts:\n            - name: secret\n              mountPath: /secret\n              readOnly: true\n"
        );
        if writes {
            text.push_str("            - name: files\n              mountPath: /files\n");
        }
        let _ = write!(
            text,
            "      volumes:\n        - name: secret\n          secret:\n            secretName: {name}\n"
        );
        if writes {
            text.push_str(
                "        - name: files\n          emptyDir:\n            medium: Memory\n",
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            name: "lab".parse().unwrap(),
            engines: 8,
            image: "registry.example/phalanx:0.1".parse().unwrap(),
            cpu: "500m".parse().unwrap(),
        }
    }

    /// Returns the connection file of this name from a manifest.
    fn json<'a>(text: &'a str, name: &str) -> &'a str {
        let (_, rest) = text.split_once(&format!("  {name}: |\n    ")).unwrap();
        rest.lines().next().unwrap()
    }

    #[test]
    fn controller_engines_and_user_have_files_that_fit() {
        let text = manifest().text_with("secret", "hmac-sha256").unwrap();
        let client =
            ClientConnectionFile::from_json(json(&text, "ipcontroller-client.json")).unwrap();
        let engine =
            EngineConnectionFile::from_json(json(&text, "ipcontroller-engine.json")).unwrap();
        let user = ClientConnectionFile::from_json(json(&text, "user-client.json")).unwrap();
        assert_eq!(
            engine.endpoint(engine.mux).unwrap().to_string(),
            format!("tcp://lab-controller:{}", engine.mux)
        );
        assert_eq!(
            user.endpoint(user.mux).unwrap().to_string(),
            format!("tcp://127.0.0.1:{}", client.mux)
        );
        for port in client.ports().into_iter().chain(engine.ports()) {
            assert!(text.contains(&format!("      port: {port}\n")), "{port}");
        }
        assert_eq!(
            text.matches("secret\",").count() + text.matches("\"secret\"").count(),
            6
        );
    }

    #[test]
    fn there_are_a_controller_and_the_engines() {
        let text = manifest().text().unwrap();
        let kinds: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("kind: "))
            .collect();
        assert_eq!(kinds, ["Secret", "Service", "Deployment", "Deployment"]);
        assert!(text.contains("  replicas: 8\n"), "{text}");
        assert_eq!(
            text.matches("image: registry.example/phalanx:0.1\n")
                .count(),
            2
        );
        assert_ne!(
            text,
            manifest().text().unwrap(),
            "each has a key of its own"
        );
    }

    #[test]
    fn nothing_but_names_gets_into_a_manifest() {
        for name in ["", "Lab", "-x", "x-", "a b", "1a", "a: b"] {
            assert!(name.parse::<Name>().is_err(), "{name}");
        }
        for image in ["", "a b", "a\nkind: Pod", "-x"] {
            assert!(image.parse::<Image>().is_err(), "{image}");
        }
        for cpu in ["", "0", "x", "1\n", "-1", "nan", "inf"] {
            assert!(cpu.parse::<Quantity>().is_err(), "{cpu}");
        }
        assert!("1.5".parse::<Quantity>().is_ok());
    }
}
