"""Movies of agents: what a film shows, as MP4 with the sound of the game."""

from pathlib import Path

import numpy as np

from workflow_src import artifacts
from workflow_src.agents.recording import KIND, SAMPLES
from workflow_src.errors import UserError
from workflow_src.report.agents.film import shots

# The console's, of which a step of four frames is a fifteenth of a second.
FRAMES_A_SECOND = 60
# Of the sound in the file: AAC has no such rate as the emulator's, 30,720.
_RATE = 48_000


def write_movie(recording: Path, label_set: str, out: Path) -> None:
    """Encode a recording as H.264 with AAC; ``out`` is its path.

    The same versions of the libraries give the same bytes. `UserError` without PyAV, and for a
    recording without sound; `UserError` or `DamagedFile` when ``recording`` is missing or damaged.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(
            "movies need PyAV, which is not installed: pip install av, or look at the film (.gif)"
        ) from error
    arrays, header = artifacts.read_arrays(recording, KIND)
    if "sound" not in arrays:
        raise UserError(
            f"{recording} has no sound, since {header['game']} is no game of the emulator: look at "
            "the film (.gif)"
        )
    pictures = shots(arrays, header, label_set)
    height, width = (size // 2 * 2 for size in pictures.shape[1:3])  # as H.264 wants it
    sound = arrays["sound"]
    skip = sound.shape[1] // SAMPLES
    with artifacts.atomic(out) as temporary:
        flags = {"fflags": "+bitexact", "movflags": "+faststart"}
        with av.open(str(temporary), "w", format="mp4", options=flags) as container:
            video = container.add_stream("libx264", rate=FRAMES_A_SECOND // skip)
            video.width, video.height, video.pix_fmt = width, height, "yuv420p"
            video.options = {"crf": "20", "threads": "1"}
            audio = container.add_stream("aac", rate=_RATE, layout="mono")
            for stream in (video, audio):
                stream.codec_context.flags |= av.codec.context.Flags.bitexact
            for picture in pictures:
                frame = av.VideoFrame.from_ndarray(picture[:height, :width], format="rgb24")
                container.mux(video.encode(frame))
            # Silence is at 128.
            samples = (sound.reshape(1, -1).astype(np.int16) - 128) * 256
            heard = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            heard.sample_rate = FRAMES_A_SECOND * SAMPLES
            for piece in av.AudioResampler("fltp", "mono", _RATE).resample(heard):
                container.mux(audio.encode(piece))
            for stream in (video, audio):
                container.mux(stream.encode(None))
