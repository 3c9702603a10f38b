// Charts as SVG documents: curves, heat maps, histograms. Pure functions from numbers to text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rn::report {

struct Curve {
  std::string name;
  std::vector<double> x;  // ascending
  std::vector<double> y;  // as many; a value that is not finite interrupts the line
};

struct LineChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Curve> curves;  // up to 8, told apart by color and by name
  bool x_from_zero = false;   // the x axis begins at 0 although the curves do not
  bool x_is_count = false;    // no ticks between whole numbers
};
std::string line_chart_svg(const LineChart& chart);

// A matrix as colors, with a bar per column above it.
struct HeatMap {
  std::string title;
  std::string column_label;           // what a column is
  std::vector<std::int64_t> columns;  // the columns' numbers, for the axis
  std::vector<std::string> rows;      // the rows' names
  std::vector<double> values;         // [rows, columns] row-major, >= 0
  std::string value_label;            // what a value is
  std::vector<double> bars;           // [columns]; empty: none
  std::string bar_label;
};
std::string heat_map_svg(const HeatMap& map);

struct Histogram {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<double> values;  // finite; bins are chosen for them
};
std::string histogram_svg(const Histogram& histogram);

}  // namespace rn::report
