"""What the server of the corpus imports once, so that each case need not."""

import segstudy.api
import segstudy.cli
import segstudy.display
import segstudy.predictor
import segstudy.reporting.page
import segstudy.using  # noqa: F401
