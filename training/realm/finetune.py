"""Fine-tuning: one session's labels train the encoder's layers and a fresh linear head (paper, stage 3)."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgebci.decoding_data import DecodingData, Floats, Part
from edgebci.metrics import r2
from edgebci.progress import Progress, silent
from edgebci.session import Session
from edgebci.training.augmentation import augment
from edgebci.training.loop import Learner, Plan, fit, reproducible
from edgebci.training.realm.corpus import Corpus, Rows, cut, padded, require_windows, target_scale
from edgebci.training.realm.encoding import decoded_stream
from edgebci.training.realm.files import DecoderFile, identity_of, load_encoder, record_of, save_decoder
from edgebci.training.realm.freezing import freeze
from edgebci.training.realm.model import RealmDecoder, make_encoder
from edgebci.training.realm.readout import fit_label_free
from edgebci.training.realm.recipe import FineTuningRecipe, LabelFreeRecipe, RealmRecipe
from edgebci.training.record import partial_path
from edgebci.training.windows import pieces


def fine_tune(
    session: Session, encoder: Path, recipe: RealmRecipe, out: Path, progress: Progress = silent
) -> DecoderFile:
    """Train a decoder from a distilled encoder on one session and write it to `out`, outputs in the target's unit.

    Early stopping looks at R2 on validation, mean over axes. An interrupted call leaves its state beside `out`.

    Raises:
        InputError: no whole window to train on or to score, a constant target, or an encoder that does not fit.
    """
    stage, source = recipe.fine_tuning, load_encoder(encoder)
    corpora = [Corpus([session], source.spec.n_channels, part) for part in ("train", "validation")]
    for corpus in corpora:
        require_windows(corpus, stage.optimiser.window_frames)
    parts: tuple[Part, ...] = ("train", "validation")
    plan = Plan(
        optimiser=stage.optimiser,
        seed=recipe.seed,
        patience_epochs=stage.patience_epochs,
        identity=identity_of("fine-tune", recipe, [session], parts, encoder),
        partial=partial_path(out),
        accelerator="auto",
    )
    mean, sd = target_scale([session])[0]
    with reproducible(recipe.seed, recipe.threads):
        fresh = make_encoder(source.spec, stage.regularisation)
        fresh.load_state_dict(source.encoder.state_dict())
        if stage.freeze_tokenizer:
            freeze(fresh.tokenizer)
        decoder = RealmDecoder(fresh, len(mean), stage.raw_skip)
        if stage.head_start == "ridge":
            start_from_ridge(decoder, session.data, recipe.label_free, mean, sd)
        fitted = fit(FineTuning(decoder, corpora[0], (session.data.targets - mean) / sd, stage), plan, progress)
    record = record_of(recipe, [session], parts, fitted, source.spec, encoder)
    record = record.model_copy(update={"validation_r2": fitted.score})
    scaled = in_target_unit(fitted.model.cpu().eval(), mean, sd)
    file = DecoderFile(scaled, session.data.target_names, session.data.target_unit, record)
    save_decoder(out, file)
    plan.partial.unlink(missing_ok=True)
    return file


class FineTuning(Learner[RealmDecoder]):
    """Decode standardised targets."""

    def __init__(self, model: RealmDecoder, corpus: Corpus, targets: Floats, recipe: FineTuningRecipe) -> None:
        self.model, self.corpus, self.recipe = model, corpus, recipe
        self.targets = torch.from_numpy(targets)
        self.length = recipe.optimiser.window_frames

    def windows(self, rng: np.random.Generator) -> Rows:
        """All training windows, in random order."""
        return self.corpus.windows(rng, self.length)

    def losses(self, rows: Rows, rng: np.random.Generator) -> dict[str, Tensor]:
        """Mean squared error at valid frames."""
        device = self.model.head.weight.device
        frames = cut(self.corpus.frames, rows, self.length, torch.device("cpu"))
        noisy = augment(frames, self.corpus.channels, self.recipe.augmentation, rng).to(device)
        valid = cut(self.corpus.valid, rows, self.length, device)
        truth = cut([self.targets], rows, self.length, device)[valid]
        return {"task": functional.mse_loss(self.model(noisy)[valid], truth)}

    def score(self, model: RealmDecoder) -> float:
        """R2 over the validation intervals, mean over axes; the state starts from zero in each."""
        decoded, truth, data = [], [], self.corpus.sessions[0].data
        for start, stop in pieces(data, "validation"):
            valid = self.corpus.valid[0][start:stop]
            outputs = decoded_stream(model, self.corpus.frames[0][start:stop], self.length).cpu()
            decoded.append(outputs[valid])
            truth.append(self.targets[start:stop][valid])
        return float(r2(torch.cat(truth).double().numpy(), torch.cat(decoded).double().numpy()).mean())


def start_from_ridge(
    decoder: RealmDecoder, data: DecodingData, recipe: LabelFreeRecipe, mean: Floats, sd: Floats
) -> None:
    """Let the head begin as ridge on the current frame's features, for targets of this mean and sd (D,)."""
    current_frame = recipe.model_copy(update={"lags": 0, "refit_on_validation": False})
    readout = fit_label_free(decoder.encoder, data, current_frame).readout
    with torch.no_grad():
        decoder.head.weight.copy_(torch.from_numpy(readout.weight[0] / sd).T)
        decoder.head.bias.copy_(torch.from_numpy((readout.bias - mean) / sd))


def in_target_unit(decoder: RealmDecoder, mean: Floats, sd: Floats) -> RealmDecoder:
    """A copy whose outputs have the target's unit instead of none."""
    scaled, scale = copy.deepcopy(decoder), torch.from_numpy(sd)
    with torch.no_grad():
        for linear in (scaled.head, scaled.skip):
            if linear is not None:
                linear.weight.mul_(scale.unsqueeze(-1))
                linear.bias.mul_(scale)
        scaled.head.bias.add_(torch.from_numpy(mean))
    return scaled


def predict(file: DecoderFile, data: DecodingData, window_frames: int = 500) -> Floats:
    """Decode a whole recording (K, D), from zero state wherever the front end began anew."""
    frames = padded(data, file.decoder.encoder.spec.n_channels, "of this recording")
    streams = [
        decoded_stream(file.decoder, frames[start:stop], window_frames).cpu().numpy()
        for start, stop in data.segments(0, len(data.frames))
    ]
    return np.concatenate(streams)
