# make demo        the first minute: draw a sample video, build VICO from it, look at it; ask a tiny model about a film
# make demo VIDEO=film.mp4
# make test        every kind of test, at small counts
# make test-long   the same tests at full counts
# make learn       train tiny models on generated films and measure what they learned (hours; goes on where it stopped)
# make lint        ruff
# Needs Python 3.11 or newer (PYTHON=python3.12 chooses one), make, and the package index.

PYTHON ?= python3
VENV   ?= .venv
DEMO   ?= vico-demo
LEARN  ?= vico-learn
GRID   ?= learn
BIN    := $(VENV)/bin

.PHONY: demo test test-long learn lint clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

ifdef VIDEO
demo: $(VENV)/.installed
	$(BIN)/build-vico '$(VIDEO)' --out $(DEMO)/film
	@echo "Look further: $(BIN)/inspect-vico $(DEMO)/film"
else
demo: $(VENV)/.installed
	mkdir -p $(DEMO)
	$(BIN)/python -m pipeline.sample_videos $(DEMO)/sample.mp4
	$(BIN)/build-vico $(DEMO)/sample.mp4 --captioner file --captions $(DEMO)/sample.jsonl --out $(DEMO)/vico
	$(BIN)/inspect-vico $(DEMO)/vico --sql "SELECT kind, count(*) AS samples, min(min_frames) AS from_frames \
		FROM samples GROUP BY kind ORDER BY kind"
	$(BIN)/inspect-vico $(DEMO)/vico --sql "SELECT question, options, answer FROM samples \
		WHERE kind IN ('order_events', 'came_next') ORDER BY kind, sample_id LIMIT 2"
	$(BIN)/python -m model.evaluation.miniature_films $(DEMO)/miniature.mp4
	$(BIN)/ask-video $(DEMO)/miniature.mp4 "What colour is the star?" --model model/miniature --ratio 16 \
		--where $(DEMO)/where.html
	@echo "What it shows: $(DEMO)/miniature.jsonl"
	@echo "The video: $(DEMO)/sample.mp4   what it shows: $(DEMO)/sample.jsonl"
	@echo "Look at it: file://$(abspath $(DEMO))/vico/report/index.html"
	@echo "Look further: $(BIN)/inspect-vico $(DEMO)/vico"
endif

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-long: $(VENV)/.installed
	VICO_LONG_TESTS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

learn: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[plots]'
	$(BIN)/ablate $(GRID) --out $(LEARN) --jobs 2 --threads 1

lint: $(VENV)/.installed
	$(BIN)/ruff check .

clean:
	rm -rf $(VENV) $(DEMO)
